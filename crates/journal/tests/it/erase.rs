//! What is erased is gone from the files, not only from the answers.

use std::path::Path;

use remuda_journal::{Batch, Claim, Journal, SealedRow, Seq, Side};
use remuda_types::Label;

const SECRET: &[u8; 24] = b"sealed under a tenant's ";
const WRAPPED: &[u8; 24] = b"a wrapped key of a tenan";

fn holds(dir: &Path, needle: &[u8]) -> bool {
    let files = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    files.filter(|path| path.is_file()).any(|path| {
        std::fs::read(path)
            .unwrap()
            .windows(needle.len())
            .any(|w| w == needle)
    })
}

fn sides(sides: Vec<Side>) -> Batch {
    Batch {
        first_seq: Seq::FIRST,
        records: Vec::new(),
        sides,
    }
}

// The files are read here after the connection is closed: closing them earlier would drop its locks.
#[test]
fn erased_bytes_are_in_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let (owner, other) = ([1; 16], [2; 16]);
    let row = |owner, ciphertext: Vec<u8>| {
        Side::Sealed(SealedRow {
            owner,
            key: Label([3; 16]),
            ciphertext,
        })
    };
    let mut journal = Journal::open(dir.path(), Claim::Alone).unwrap();
    journal
        .append(&sides(vec![
            row(owner, SECRET.repeat(1_000)),
            row(other, b"kept".to_vec()),
            Side::Meta {
                key: "wrapped".into(),
                value: WRAPPED.to_vec(),
            },
        ]))
        .unwrap();
    assert_eq!(journal.head().last_seq, Seq::NONE);
    assert_eq!(journal.view().sealed_all().unwrap().len(), 2);
    drop(journal);
    assert!(holds(dir.path(), SECRET) && holds(dir.path(), WRAPPED));

    let mut journal = Journal::open(dir.path(), Claim::Alone).unwrap();
    journal
        .append(&sides(vec![
            Side::SealedErase { owner },
            Side::MetaErase {
                key: "wrapped".into(),
            },
        ]))
        .unwrap();
    assert_eq!(journal.view().sealed(owner, Label([3; 16])).unwrap(), None);
    assert_eq!(
        journal.view().sealed(other, Label([3; 16])).unwrap(),
        Some(b"kept".to_vec())
    );
    assert_eq!(journal.view().meta("wrapped").unwrap(), None);
    // A copy of the folder as it is now, and not as closing would leave it.
    let copy = tempfile::tempdir().unwrap();
    let copied = std::process::Command::new("cp")
        .arg("-r")
        .arg(dir.path())
        .arg(copy.path().join("now"))
        .status();
    assert!(copied.unwrap().success());
    assert!(!holds(&copy.path().join("now"), SECRET));
    assert!(!holds(&copy.path().join("now"), WRAPPED));
}
