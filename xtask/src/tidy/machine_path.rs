//! No path of somebody's machine: it is wrong on every other one, and tells who wrote it.

use super::problem::Problem;
use super::tree::Tree;

/// Beginnings of such paths. Written in two halves, so that this file passes its own check.
const PATHS: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
];

pub(crate) fn check(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (file, text) in tree.texts() {
        for (line, words) in (1..).zip(text.lines()) {
            for path in PATHS.iter().filter(|path| begins(words, path)) {
                let what = format!("`{path}` is a path of one machine");
                let way_out = "make it relative, or build it from the environment";
                problems.push(Problem::new(file, line, what, way_out));
            }
        }
    }
    problems
}

/// Does an absolute path in this line begin so? In `a/b/` and `https://a/b/`, no `/b/` begins.
fn begins(line: &str, path: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || "._-~$*{}/".contains(c);
    line.match_indices(path)
        .any(|(at, _)| !line[..at].chars().next_back().is_some_and(inside))
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn a_path_is_found_in_any_text() {
        let mut tree = sample::tidy();
        for file in ["README.md", "deny.toml", "crates/ledger/src/lib.snap"] {
            tree.put(file, &format!("a\nsee \"{}x\"\n", PATHS[2]));
        }
        let lines: Vec<usize> = check(&tree).iter().map(|p| p.line).collect();
        assert_eq!(lines, [2, 2, 2]);
    }

    #[test]
    fn parts_of_longer_paths_pass() {
        for path in PATHS {
            assert!(begins(&format!("{path}a"), path));
            assert!(begins(&format!("from={path}a"), path));
            assert!(!begins(&format!("network{path}a"), path));
            assert!(!begins(&format!("https://host{path}a"), path));
            assert!(!begins(&format!("${{BASE}}{path}a"), path));
        }
    }
}
