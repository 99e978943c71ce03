//! Checks of the whole checkout. [`CHECKS`] is the list; each check is one file of the same shape:
//! a [`Tree`] in, [`Problem`]s out.

mod crate_header;
mod dead_file;
mod edges;
mod file_header;
mod length;
mod lints;
mod load;
mod machine_path;
mod module_file;
mod problem;
mod pure;
mod rooms;
mod tree;
mod word;

#[cfg(test)]
mod sample;

use cargo_metadata::camino::Utf8Path;

pub(crate) use load::LoadError;
pub(crate) use problem::Problem;
use tree::Tree;

type Check = fn(&Tree) -> Vec<Problem>;

const CHECKS: &[Check] = &[
    edges::check,
    pure::check,
    lints::check,
    crate_header::check,
    file_header::check,
    module_file::check,
    dead_file::check,
    length::check,
    word::check,
    machine_path::check,
];

/// Every problem of the checkout at `root`, in the order of files and lines.
pub(crate) fn check(root: &Utf8Path) -> Result<Vec<Problem>, LoadError> {
    Ok(check_tree(&load::load(root)?))
}

fn check_tree(tree: &Tree) -> Vec<Problem> {
    let mut problems: Vec<Problem> = CHECKS.iter().flat_map(|check| check(tree)).collect();
    problems.sort();
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tidy_tree_has_no_problem() {
        assert_eq!(check_tree(&sample::tidy()), []);
    }

    #[test]
    fn problems_of_all_checks_come_together_in_order() {
        let mut tree = sample::tidy();
        tree.put("crates/types/src/lost.rs", "fn lost() {}\n");
        tree.put("crates/ledger/clippy.toml", "");
        let places: Vec<String> = check_tree(&tree)
            .iter()
            .map(|p| format!("{}:{}", p.file, p.line))
            .collect();
        assert_eq!(
            places,
            [
                "crates/ledger/clippy.toml:1",
                "crates/types/src/lost.rs:1",
                "crates/types/src/lost.rs:1"
            ]
        );
    }
}
