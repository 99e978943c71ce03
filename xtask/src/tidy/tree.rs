//! What the checks look at: the texts of a checkout and the packages of its workspace.
//!
//! All paths are relative to the root of the checkout. Nothing here reads files (see `load`), so
//! that tests make their trees by hand.

use std::collections::BTreeMap;

use cargo_metadata::camino::{Utf8Path, Utf8PathBuf};

/// A checkout, read.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// Every text file's content.
    pub(crate) files: BTreeMap<Utf8PathBuf, String>,
    pub(crate) packages: Vec<Package>,
}

impl Tree {
    pub(crate) fn text(&self, path: &Utf8Path) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// All Rust files.
    pub(crate) fn rust(&self) -> impl Iterator<Item = (&Utf8Path, &str)> {
        self.texts()
            .filter(|(path, _)| path.extension() == Some("rs"))
    }

    pub(crate) fn texts(&self) -> impl Iterator<Item = (&Utf8Path, &str)> {
        self.files
            .iter()
            .map(|(path, text)| (path.as_path(), text.as_str()))
    }
}

/// A member of the workspace.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) dir: Utf8PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
    /// The first file of every target: library, binaries, tests, benches, examples, build script.
    pub(crate) roots: Vec<Utf8PathBuf>,
}

impl Package {
    pub(crate) fn manifest(&self) -> Utf8PathBuf {
        self.dir.join("Cargo.toml")
    }

    /// Where a reader begins: `lib.rs`, or `main.rs` where there is no library.
    pub(crate) fn entrance(&self) -> Option<Utf8PathBuf> {
        ["src/lib.rs", "src/main.rs"]
            .iter()
            .map(|file| self.dir.join(file))
            .find(|path| self.roots.contains(path))
    }
}

/// A line of a manifest that names another package.
#[derive(Debug)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) purpose: Purpose,
    /// Line of the manifest, from 1.
    pub(crate) line: usize,
}

/// What a dependency is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The package itself, or its build script.
    Product,
    /// Its tests, benches and examples.
    Test,
}
