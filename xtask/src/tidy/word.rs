//! Words that may not stay: marks of unfinished work, and lints switched off without a reason.

use cargo_metadata::camino::Utf8Path;

use super::problem::Problem;
use super::tree::Tree;

/// Word and way out. Written in two halves, so that this file passes its own check.
const WORDS: &[(&str, &str)] = &[
    (concat!("FIX", "ME"), "mend it now, or open an issue"),
    (concat!("XX", "X"), "mend it now, or open an issue"),
    (
        concat!("to", "do!"),
        "write it, or refuse with a typed error",
    ),
    (
        concat!("[", "allow("),
        "use `#[expect(lint, reason = \"...\")]`, which says when it is no longer true",
    ),
];

/// Kinds of file that people write code in.
const CODE: &[&str] = &["rs", "sh", "toml", "yml", "yaml"];

pub(crate) fn check(tree: &Tree) -> Vec<Problem> {
    tree.texts()
        .filter(|(path, _)| is_code(path))
        .flat_map(|(path, text)| file(path, text))
        .collect()
}

fn is_code(path: &Utf8Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    path.extension()
        .is_some_and(|extension| CODE.contains(&extension))
        || ["Makefile", "run"].contains(&name)
}

fn file(path: &Utf8Path, text: &str) -> Vec<Problem> {
    let lines = || (1..).zip(text.lines());
    let hits = WORDS.iter().flat_map(|(word, way_out)| {
        lines()
            .filter(|(_, line)| holds(line, word))
            .map(move |(line, _)| (line, word, way_out))
    });
    hits.map(|(line, word, way_out)| Problem::new(path, line, format!("`{word}`"), *way_out))
        .collect()
}

/// Is `word` in the line, and not as a part of a longer word (`mktemp`'s pattern, say)?
fn holds(line: &str, word: &str) -> bool {
    let in_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back().is_some_and(in_word);
        let after = line[at + word.len()..].chars().next().is_some_and(in_word);
        let opens = word.starts_with(in_word);
        let closes = word.ends_with(in_word);
        !(opens && before || closes && after)
    })
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn found(text: &str) -> Vec<usize> {
        let mut tree = sample::tidy();
        tree.put("crates/ledger/src/new.rs", text);
        check(&tree).iter().map(|p| p.line).collect()
    }

    const NONE: [usize; 0] = [];

    #[test]
    fn each_word_is_found_at_its_line() {
        for (word, _) in WORDS {
            assert_eq!(found(&format!("//! A.\n\n// #{word} x)\n")), [3], "{word}");
        }
    }

    #[test]
    fn longer_words_and_expectations_pass() {
        let xs = "X".repeat(6);
        assert_eq!(found(&format!("//! A.\n// mktemp a.{xs}\n")), NONE);
        assert_eq!(
            found("//! A.\n#[expect(dead_code, reason = \"b\")]\n// allow(a)\n"),
            NONE
        );
        assert_eq!(found(&format!("//! A.\n// not_{}(1)\n", WORDS[2].0)), NONE);
    }

    #[test]
    fn scripts_are_read_and_prose_is_not() {
        let mut tree = sample::tidy();
        let text = format!("# {}\n", WORDS[0].0);
        tree.put("setup/a.sh", &text);
        tree.put(".ci/run", &text);
        tree.put("notes.md", &text);
        let files: Vec<String> = check(&tree).iter().map(|p| p.file.to_string()).collect();
        assert_eq!(files, [".ci/run", "setup/a.sh"]);
    }
}
