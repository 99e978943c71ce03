//! Every Rust file, tests included, begins with a `//!` line that says what it is for.

use super::problem::Problem;
use super::tree::Tree;

pub(crate) fn check(tree: &Tree) -> Vec<Problem> {
    tree.rust()
        .filter(|(_, text)| !has_header(text))
        .map(|(path, _)| {
            let way_out = "let the first line be `//! ` and what the file is for";
            Problem::new(path, 1, "has no header", way_out)
        })
        .collect()
}

fn has_header(text: &str) -> bool {
    let first = text.lines().next().unwrap_or_default();
    first
        .strip_prefix("//!")
        .is_some_and(|words| !words.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn a_file_without_a_header_is_a_problem_wherever_it_is() {
        let mut tree = sample::tidy();
        tree.put("crates/ledger/tests/it/main.rs", "use std::fmt;\n");
        assert_eq!(check(&tree).len(), 1);
    }

    #[test]
    fn the_header_is_the_first_line_and_says_something() {
        assert!(has_header("//! What.\n"));
        for text in [
            "",
            "//!\n",
            "//! \nfn a() {}",
            "// What.\n",
            "/// What.\n",
            "\n//! What.\n",
        ] {
            assert!(!has_header(text), "{text:?}");
        }
    }
}
