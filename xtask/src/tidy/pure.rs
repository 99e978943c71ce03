//! Decide crates stay pure: they forbid unsafe code, all carry the same strict `clippy.toml`
//! (clippy does not merge it with the workspace's), and use no library that does IO.

use super::problem::Problem;
use super::rooms::{Kind, room};
use super::tree::{Package, Purpose, Tree};

/// The one that all others must equal.
const MODEL: &str = "crates/types/clippy.toml";

/// Libraries that bring a clock, IO, randomness or a runtime.
const IMPURE: &[&str] = &[
    "async-trait",
    "axum",
    "futures",
    "getrandom",
    "hyper",
    "iroh",
    "nix",
    "rand",
    "reqwest",
    "rusqlite",
    "socket2",
    "sysinfo",
    "tempfile",
    "tokio",
    "tokio-stream",
    "tokio-util",
    "tower",
];

pub(crate) fn check(tree: &Tree) -> Vec<Problem> {
    let decides = |p: &&Package| room(&p.name).is_some_and(|room| room.kind == Kind::Decide);
    let packages = tree.packages.iter().filter(decides);
    packages
        .flat_map(|package| [clippy(tree, package), unsafe_code(tree, package)])
        .flatten()
        .chain(tree.packages.iter().filter(decides).flat_map(impure))
        .collect()
}

fn clippy(tree: &Tree, package: &Package) -> Option<Problem> {
    let path = package.dir.join("clippy.toml");
    let way_out = || format!("copy {MODEL}");
    let Some(text) = tree.text(&path) else {
        return Some(Problem::new(
            path,
            1,
            "a decide crate needs its own clippy.toml",
            way_out(),
        ));
    };
    let model = tree.text(MODEL.into()).unwrap_or_default();
    let line = first_difference(text, model)?;
    Some(Problem::new(
        path,
        line,
        "differs from the other decide crates'",
        way_out(),
    ))
}

/// The first line, from 1, in which two texts differ.
fn first_difference(one: &str, other: &str) -> Option<usize> {
    let same = one
        .lines()
        .zip(other.lines())
        .take_while(|(a, b)| a == b)
        .count();
    (one != other).then(|| (same + 1).min(one.lines().count().max(1)))
}

fn unsafe_code(tree: &Tree, package: &Package) -> Option<Problem> {
    let path = package.entrance()?;
    let text = tree.text(&path)?;
    let forbids = text
        .lines()
        .any(|line| line.trim() == "#![forbid(unsafe_code)]");
    (!forbids).then(|| {
        Problem::new(
            path,
            1,
            "a decide crate forbids unsafe code itself",
            "add `#![forbid(unsafe_code)]` under the header",
        )
    })
}

fn impure(package: &Package) -> Vec<Problem> {
    let product = package
        .dependencies
        .iter()
        .filter(|d| d.purpose == Purpose::Product);
    product
        .filter(|dependency| IMPURE.contains(&dependency.name.as_str()))
        .map(|dependency| {
            let what = format!("a decide crate may not use `{}`", dependency.name);
            let way_out = "take time, ids and entropy as arguments and leave IO to an act crate";
            Problem::new(package.manifest(), dependency.line, what, way_out)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use cargo_metadata::camino::Utf8Path;

    use super::super::sample;
    use super::*;

    fn found(tree: &Tree) -> Vec<(String, usize)> {
        check(tree)
            .iter()
            .map(|p| (p.file.to_string(), p.line))
            .collect()
    }

    #[test]
    fn a_clippy_toml_that_differs_is_named_by_line() {
        let mut tree = sample::tidy();
        tree.put("crates/ledger/clippy.toml", "disallowed-methods = [\n]\n");
        assert_eq!(found(&tree), [("crates/ledger/clippy.toml".to_owned(), 2)]);
        tree.files
            .remove(Utf8Path::new("crates/ledger/clippy.toml"));
        assert_eq!(found(&tree), [("crates/ledger/clippy.toml".to_owned(), 1)]);
    }

    #[test]
    fn unsafe_code_is_forbidden_in_the_crate_itself() {
        let mut tree = sample::tidy();
        tree.put("crates/ledger/src/lib.rs", "//! A.\n//!\n//! B.\n");
        assert_eq!(found(&tree), [("crates/ledger/src/lib.rs".to_owned(), 1)]);
    }

    #[test]
    fn a_runtime_may_come_into_tests_and_act_crates_only() {
        let mut tree = sample::tidy();
        sample::depend(&mut tree, "remuda-ledger", "tokio", Purpose::Test);
        sample::depend(&mut tree, "remuda-engine", "tokio", Purpose::Product);
        assert_eq!(found(&tree), []);
        sample::depend(&mut tree, "remuda-ledger", "tokio", Purpose::Product);
        assert_eq!(found(&tree), [("crates/ledger/Cargo.toml".to_owned(), 7)]);
    }

    #[test]
    fn differences_are_found_at_both_ends() {
        assert_eq!(first_difference("a\nb", "a\nb"), None);
        assert_eq!(first_difference("a\nb", "a\nc"), Some(2));
        assert_eq!(first_difference("a", "a\nb"), Some(1));
        assert_eq!(first_difference("", "a"), Some(1));
    }
}
