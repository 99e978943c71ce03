//! A file of more than a thousand lines has become two rooms.

use super::problem::Problem;
use super::tree::Tree;

const MAX_LINES: usize = 1_000;

pub(crate) fn check(tree: &Tree) -> Vec<Problem> {
    tree.rust()
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > MAX_LINES)
        .map(|(path, lines)| {
            let what = format!("{lines} lines, {MAX_LINES} at most");
            Problem::new(path, MAX_LINES + 1, what, "split it where its nouns part")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn the_limit_is_the_last_length_that_passes() {
        let mut tree = sample::tidy();
        tree.put("crates/ledger/src/long.rs", &"//! L.\n".repeat(MAX_LINES));
        assert!(check(&tree).is_empty());
        tree.put(
            "crates/ledger/src/long.rs",
            &"//! L.\n".repeat(MAX_LINES + 1),
        );
        assert_eq!(check(&tree).len(), 1);
    }
}
