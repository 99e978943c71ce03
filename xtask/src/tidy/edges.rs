//! Who uses whom: every edge between two crates of the workspace is one that `rooms` lists.

use super::problem::Problem;
use super::rooms::{Room, room};
use super::tree::{Dependency, Package, Purpose, Tree};

pub(crate) fn check(tree: &Tree) -> Vec<Problem> {
    tree.packages
        .iter()
        .flat_map(|package| package_edges(tree, package))
        .collect()
}

fn package_edges(tree: &Tree, package: &Package) -> Vec<Problem> {
    let Some(from) = room(&package.name) else {
        let what = format!("package `{}` is no room of the workspace", package.name);
        return vec![Problem::new(
            package.manifest(),
            1,
            what,
            "give it a row in xtask/src/tidy/rooms.rs and ARCHITECTURE.md, or another home",
        )];
    };
    let ours = |d: &&Dependency| tree.packages.iter().any(|package| package.name == d.name);
    let edges = package.dependencies.iter().filter(ours);
    edges
        .filter_map(|dependency| edge(package, from, dependency))
        .collect()
}

fn edge(package: &Package, from: &Room, dependency: &Dependency) -> Option<Problem> {
    // A package that is no room is reported at its own manifest.
    let to = room(&dependency.name)?.name;
    let (allowed, who) = match dependency.purpose {
        Purpose::Product => (from.may_use(to), from.name.to_owned()),
        Purpose::Test => (from.tests_may_use(to), format!("{}'s tests", from.name)),
    };
    (!allowed).then(|| {
        let what = format!("{who} may not use `{to}`");
        Problem::new(package.manifest(), dependency.line, what, way_out(from))
    })
}

fn way_out(from: &Room) -> String {
    let uses: Vec<&str> = ["types"]
        .into_iter()
        .filter(|room| from.may_use(room))
        .collect();
    let uses = [&uses, from.uses].concat();
    if uses.is_empty() {
        return "it uses no other room".to_owned();
    }
    format!(
        "it may use {}: move the code, or speak over the wire",
        uses.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn found(from: &str, to: &str, purpose: Purpose) -> Vec<String> {
        let mut tree = sample::tidy();
        sample::depend(&mut tree, from, to, purpose);
        check(&tree).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_edge_of_the_list_passes() {
        assert!(found("remuda-network", "remuda-ledger", Purpose::Product).is_empty());
        assert!(found("remuda-ledger", "remuda-types", Purpose::Test).is_empty());
        assert!(found("remuda-ledger", "serde", Purpose::Product).is_empty());
    }

    #[test]
    fn an_edge_not_on_the_list_is_named_with_what_is() {
        assert_eq!(
            found("remuda-ledger", "remuda-network", Purpose::Product),
            ["crates/ledger/Cargo.toml:7: ledger may not use `network`; \
              it may use types: move the code, or speak over the wire"]
        );
    }

    #[test]
    fn tests_have_a_list_of_their_own() {
        assert!(found("remuda-control", "remuda-ledger", Purpose::Test).is_empty());
        assert_eq!(
            found("remuda-control", "remuda-ledger", Purpose::Product).len(),
            1
        );
        assert_eq!(
            found("remuda-ledger", "remuda-network", Purpose::Test),
            [
                "crates/ledger/Cargo.toml:7: ledger's tests may not use `network`; \
              it may use types: move the code, or speak over the wire"
            ]
        );
    }

    #[test]
    fn a_package_without_a_row_is_a_problem() {
        let mut tree = sample::tidy();
        sample::add(&mut tree, "crates/utils", "remuda-utils");
        assert_eq!(check(&tree).len(), 1);
    }
}
