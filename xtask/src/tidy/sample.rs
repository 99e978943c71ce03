//! Small made-up trees for the tests of the checks.

use cargo_metadata::camino::Utf8PathBuf;

use super::tree::{Dependency, Package, Purpose, Tree};

const CLIPPY: &str = "disallowed-methods = [\n  # clocks\n]\n";

impl Tree {
    /// Writes a file.
    pub(crate) fn put(&mut self, path: &str, text: &str) {
        self.files.insert(Utf8PathBuf::from(path), text.to_owned());
    }
}

/// A workspace of a few rooms, without a problem.
pub(crate) fn tidy() -> Tree {
    let mut tree = Tree::default();
    for room in ["types", "ledger", "network", "tokens", "engine", "control"] {
        add(
            &mut tree,
            &format!("crates/{room}"),
            &format!("remuda-{room}"),
        );
    }
    tree
}

/// Adds a package that is tidy in itself.
pub(crate) fn add(tree: &mut Tree, dir: &str, name: &str) {
    let manifest = format!("[package]\nname = \"{name}\"\n\n[lints]\nworkspace = true\n");
    tree.put(&format!("{dir}/Cargo.toml"), &manifest);
    tree.put(&format!("{dir}/clippy.toml"), CLIPPY);
    let header = "//! A room.\n//!\n//! What does not belong here: the rest.\n";
    tree.put(
        &format!("{dir}/src/lib.rs"),
        &format!("{header}#![forbid(unsafe_code)]\n"),
    );
    tree.put(&format!("{dir}/tests/it/main.rs"), "//! Its tests.\n");
    tree.packages.push(Package {
        name: name.to_owned(),
        dir: dir.into(),
        dependencies: Vec::new(),
        roots: vec![
            format!("{dir}/src/lib.rs").into(),
            format!("{dir}/tests/it/main.rs").into(),
        ],
    });
}

/// Lets a package of the tree depend on another, as line 7 of its manifest.
pub(crate) fn depend(tree: &mut Tree, from: &str, to: &str, purpose: Purpose) {
    let package = tree
        .packages
        .iter_mut()
        .find(|package| package.name == from);
    let dependency = Dependency {
        name: to.to_owned(),
        purpose,
        line: 7,
    };
    package
        .expect("a package of the tree")
        .dependencies
        .push(dependency);
}
