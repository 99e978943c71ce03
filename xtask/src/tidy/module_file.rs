//! A module `foo` lies in `foo.rs`, and its parts in `foo/`: a tab named `mod.rs` says nothing.

use super::problem::Problem;
use super::tree::Tree;

pub(crate) fn check(tree: &Tree) -> Vec<Problem> {
    tree.rust()
        .filter(|(path, _)| path.file_name() == Some("mod.rs"))
        .map(|(path, _)| {
            let folder = path
                .parent()
                .and_then(|folder| folder.file_name())
                .unwrap_or("foo");
            let way_out = format!("rename it to `{folder}.rs` beside the folder");
            Problem::new(path, 1, "is named `mod.rs`", way_out)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn the_new_name_is_told() {
        let mut tree = sample::tidy();
        tree.put("crates/ledger/src/entry/mod.rs", "//! Entries.\n");
        let problems: Vec<String> = check(&tree).iter().map(ToString::to_string).collect();
        assert_eq!(
            problems,
            ["crates/ledger/src/entry/mod.rs:1: is named `mod.rs`; \
              rename it to `entry.rs` beside the folder"]
        );
    }
}
