//! Any byte of the log that is changed is found.

use std::path::Path;

use remuda_journal::{Claim, Journal, OpenError, ReadError, Reader, Seq, Tampering, verify};
use rusqlite::{Connection, params};
use tempfile::TempDir;

use crate::sample::batch;

fn journal_of_three() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(dir.path(), Claim::Alone).unwrap();
    for (first, count) in [(1, 3), (4, 1), (5, 2)] {
        journal.append(&batch(first, count)).unwrap();
    }
    dir
}

fn sql(dir: &Path) -> Connection {
    Connection::open(dir.join("journal.db")).unwrap()
}

fn found(dir: &Path) -> Option<Tampering> {
    match verify(&Reader::open(dir).unwrap(), Seq::FIRST) {
        Ok(_) => None,
        Err(ReadError::Tampered(tampered)) => Some(tampered.what),
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn every_changed_byte_of_every_blob_is_found() {
    let dir = journal_of_three();
    let conn = sql(dir.path());
    for column in ["payload", "hash", "previous"] {
        for last in [3, 4, 6] {
            let select = format!("SELECT {column} FROM batch WHERE last_seq = ?1");
            let update = format!("UPDATE batch SET {column} = ?1 WHERE last_seq = ?2");
            let whole: Vec<u8> = conn.query_row(&select, [last], |row| row.get(0)).unwrap();
            for at in 0..whole.len() {
                let mut changed = whole.clone();
                changed[at] ^= 1 << (at % 8);
                conn.execute(&update, params![changed, last]).unwrap();
                assert!(found(dir.path()).is_some(), "{column} of {last}, byte {at}");
            }
            conn.execute(&update, params![whole, last]).unwrap();
        }
    }
    assert_eq!(found(dir.path()), None);
}

#[test]
fn changed_numbers_and_removed_batches_are_found() {
    let changes = [
        (
            "UPDATE batch SET writer_epoch = 9 WHERE last_seq = 4",
            Tampering::Hash,
        ),
        (
            "UPDATE batch SET first_seq = 5 WHERE last_seq = 4",
            Tampering::Gap { expected: Seq(4) },
        ),
        (
            "UPDATE batch SET last_seq = 7 WHERE last_seq = 6",
            Tampering::Hash,
        ),
        (
            "DELETE FROM batch WHERE last_seq = 3",
            Tampering::Gap { expected: Seq(1) },
        ),
        (
            "DELETE FROM batch WHERE last_seq = 4",
            Tampering::Gap { expected: Seq(4) },
        ),
    ];
    for (change, what) in changes {
        let dir = journal_of_three();
        sql(dir.path()).execute_batch(change).unwrap();
        assert_eq!(found(dir.path()), Some(what), "{change}");
    }
}

#[test]
fn every_changed_byte_of_a_payload_in_the_file_is_found() {
    let dir = journal_of_three();
    let payload: Vec<u8> = sql(dir.path())
        .query_row("SELECT payload FROM batch WHERE last_seq = 3", [], |row| {
            row.get(0)
        })
        .unwrap();
    let path = dir.path().join("journal.db");
    let whole = std::fs::read(&path).unwrap();
    let start = whole
        .windows(payload.len())
        .position(|window| window == payload)
        .unwrap();
    for at in start..start + payload.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0x40;
        std::fs::write(&path, &changed).unwrap();
        assert_eq!(found(dir.path()), Some(Tampering::Hash), "byte {at}");
    }
}

#[test]
fn a_writer_refuses_to_go_on_from_a_damaged_end() {
    let dir = journal_of_three();
    sql(dir.path())
        .execute_batch("UPDATE batch SET payload = x'80' WHERE last_seq = 6")
        .unwrap();
    let refused = Journal::open(dir.path(), Claim::Alone);
    assert!(
        matches!(refused, Err(OpenError::Corrupt(ReadError::Tampered(_)))),
        "{refused:?}"
    );
}

#[test]
fn an_audit_may_begin_later() {
    let dir = journal_of_three();
    let reader = Reader::open(dir.path()).unwrap();
    let whole = verify(&reader, Seq::FIRST).unwrap();
    assert_eq!((whole.records, whole.batches), (6, 3));
    // Record 6 is in the last batch, record 3 in the first.
    assert_eq!(verify(&reader, Seq(6)).unwrap().records, 2);
    assert_eq!(verify(&reader, Seq(3)).unwrap(), whole);
    assert_eq!(verify(&reader, Seq(7)).unwrap().committed, whole.committed);
}
