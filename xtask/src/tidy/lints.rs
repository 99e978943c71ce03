//! Every crate takes the workspace's lints: one that does not is simply not linted.

use super::problem::Problem;
use super::tree::{Package, Tree};

pub(crate) fn check(tree: &Tree) -> Vec<Problem> {
    let deaf = |package: &&Package| !inherits(tree.text(&package.manifest()).unwrap_or_default());
    let problem = |package: &Package| {
        Problem::new(
            package.manifest(),
            1,
            "does not inherit the workspace's lints",
            "add `[lints]` with `workspace = true`",
        )
    };
    tree.packages.iter().filter(deaf).map(problem).collect()
}

fn inherits(manifest: &str) -> bool {
    let manifest: toml::Table = manifest.parse().unwrap_or_default();
    let lints = manifest
        .get("lints")
        .and_then(|lints| lints.get("workspace"));
    lints.and_then(toml::Value::as_bool) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn a_crate_without_the_lints_is_a_problem() {
        let mut tree = sample::tidy();
        tree.put(
            "crates/ledger/Cargo.toml",
            "[package]\nname = \"remuda-ledger\"\n",
        );
        let problems = check(&tree);
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].file, "crates/ledger/Cargo.toml");
    }

    #[test]
    fn both_spellings_count_and_a_refusal_does_not() {
        assert!(inherits("[lints]\nworkspace = true\n"));
        assert!(inherits("lints.workspace = true\n"));
        assert!(!inherits("[lints]\nworkspace = false\n"));
        assert!(!inherits("# [lints]\n# workspace = true\n"));
    }
}
