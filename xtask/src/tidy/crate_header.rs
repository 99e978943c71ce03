//! A crate begins by telling what it is for, how it hangs together and what does not belong in it.

use super::problem::Problem;
use super::tree::{Package, Tree};

/// A sentence, a blank line and at least one more.
const MIN_LINES: usize = 3;

pub(crate) fn check(tree: &Tree) -> Vec<Problem> {
    tree.packages
        .iter()
        .filter_map(Package::entrance)
        .filter(|path| header_lines(tree.text(path).unwrap_or_default()) < MIN_LINES)
        .map(|path| {
            Problem::new(
                path,
                1,
                format!("the header of a crate has at least {MIN_LINES} lines"),
                "say what the crate is for, how its parts fit and what does not belong here",
            )
        })
        .collect()
}

fn header_lines(text: &str) -> usize {
    text.lines()
        .take_while(|line| line.starts_with("//!"))
        .count()
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn one_line_is_not_enough_for_a_crate() {
        let mut tree = sample::tidy();
        tree.put("crates/engine/src/lib.rs", "//! placeholder\n");
        let problems = check(&tree);
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].file, "crates/engine/src/lib.rs");
    }

    #[test]
    fn only_the_first_lines_are_the_header() {
        assert_eq!(header_lines("//! A.\n//!\nmod a;\n//! late\n"), 2);
        assert_eq!(header_lines("mod a;\n//! late\n"), 0);
    }
}
