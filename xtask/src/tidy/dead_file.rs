//! No dead files: every Rust file is reached from a target of its package by `mod` declarations.
//! A test file that `tests/it/main.rs` forgot is one as well: it would never run.

use std::collections::BTreeSet;

use cargo_metadata::camino::{Utf8Path, Utf8PathBuf};

use super::problem::Problem;
use super::tree::Tree;

/// Each file of it is a program, in a workspace of its own.
const FUZZ_TARGETS: &str = "fuzz/fuzz_targets";

pub(crate) fn check(tree: &Tree) -> Vec<Problem> {
    let mut alive = BTreeSet::new();
    let roots = tree.packages.iter().flat_map(|package| &package.roots);
    let roots = roots.map(Utf8PathBuf::as_path);
    let fuzzed = tree.rust().map(|(path, _)| path);
    let fuzzed = fuzzed.filter(|path| path.parent() == Some(Utf8Path::new(FUZZ_TARGETS)));
    for root in roots.chain(fuzzed) {
        let folder = root.parent().unwrap_or(Utf8Path::new(""));
        visit(tree, root, folder, &mut alive);
    }
    tree.rust()
        .filter(|(path, _)| !alive.contains(*path))
        .map(|(path, _)| {
            let way_out = "declare it where it belongs, or remove it";
            Problem::new(path, 1, "no `mod` declaration leads here", way_out)
        })
        .collect()
}

/// Marks a file and every module it declares; `folder` is where its modules lie.
fn visit(tree: &Tree, file: &Utf8Path, folder: &Utf8Path, alive: &mut BTreeSet<Utf8PathBuf>) {
    let Some(text) = tree.text(file) else { return };
    if !alive.insert(file.to_owned()) {
        return;
    }
    for name in text.lines().filter_map(declared) {
        let own = folder.join(name);
        visit(tree, &folder.join(format!("{name}.rs")), &own, alive);
        visit(tree, &own.join("mod.rs"), &own, alive);
    }
}

/// The module that a line declares in another file: `mod name;` after attributes and visibility.
fn declared(line: &str) -> Option<&str> {
    let mut words = line.trim();
    while let Some(rest) = words.strip_prefix("#[") {
        words = rest.split_once(']')?.1.trim_start();
    }
    if let Some(rest) = words.strip_prefix("pub") {
        words = rest.trim_start();
        if words.starts_with('(') {
            words = words.split_once(')')?.1.trim_start();
        }
    }
    let name = words.strip_prefix("mod ")?.split_once(';')?.0.trim();
    name.chars()
        .all(|c| c.is_alphanumeric() || c == '_')
        .then_some(name)
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn dead(tree: &Tree) -> Vec<String> {
        check(tree).iter().map(|p| p.file.to_string()).collect()
    }

    #[test]
    fn what_is_fuzzed_is_a_program_of_its_own() {
        let mut tree = sample::tidy();
        tree.put("fuzz/fuzz_targets/words.rs", "//! W.\n");
        tree.put("fuzz/lost.rs", "//! L.\n");
        assert_eq!(dead(&tree), ["fuzz/lost.rs"]);
    }

    #[test]
    fn modules_are_followed_down_their_folders() {
        let mut tree = sample::tidy();
        tree.put(
            "crates/engine/src/lib.rs",
            "//! E.\npub mod decoder;\nmod lost { }\n",
        );
        tree.put(
            "crates/engine/src/decoder.rs",
            "//! D.\n#[cfg(test)] mod tests;\n",
        );
        tree.put("crates/engine/src/decoder/tests.rs", "//! T.\n");
        assert!(dead(&tree).is_empty());
        tree.put("crates/engine/src/lost.rs", "//! L.\n");
        tree.put("crates/engine/src/decoder/lost.rs", "//! L.\n");
        assert_eq!(
            dead(&tree),
            [
                "crates/engine/src/decoder/lost.rs",
                "crates/engine/src/lost.rs"
            ]
        );
    }

    #[test]
    fn a_forgotten_test_file_is_dead() {
        let mut tree = sample::tidy();
        tree.put("crates/ledger/tests/it/forgotten.rs", "//! F.\n");
        assert_eq!(dead(&tree), ["crates/ledger/tests/it/forgotten.rs"]);
        tree.put(
            "crates/ledger/tests/it/main.rs",
            "//! M.\n\nmod forgotten;\n",
        );
        assert!(dead(&tree).is_empty());
    }

    #[test]
    fn a_file_outside_every_package_is_dead() {
        let mut tree = sample::tidy();
        tree.put("crates/gone/src/lib.rs", "//! G.\n");
        assert_eq!(dead(&tree), ["crates/gone/src/lib.rs"]);
    }

    #[test]
    fn declarations_are_told_from_other_lines() {
        for line in [
            "mod a;",
            "  pub mod a;",
            "pub(crate) mod a;",
            "pub(in crate::b) mod a; // c",
        ] {
            assert_eq!(declared(line), Some("a"), "{line}");
        }
        assert_eq!(declared("#[cfg(test)] #[expect(x)] mod a;"), Some("a"));
        for line in [
            "mod a {",
            "// mod a;",
            "let mod_a = 1;",
            "mod a { fn b() { c; } }",
            "public;",
        ] {
            assert_eq!(declared(line), None, "{line}");
        }
    }
}
