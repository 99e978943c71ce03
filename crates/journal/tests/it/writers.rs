//! One writer at a time, however many try; and readers beside it.

use remuda_journal::{AppendError, Claim, Journal, OpenError, Reader, Seq, WriterEpoch, verify};

use crate::sample::{batch, record};

#[test]
fn a_second_control_is_told_that_the_first_is_running() {
    let dir = tempfile::tempdir().unwrap();
    let first = Journal::open(dir.path(), Claim::Alone).unwrap();
    let second = Journal::open(dir.path(), Claim::Alone);
    assert!(matches!(second, Err(OpenError::AlreadyOpen { .. })));
    drop(first);
    assert_eq!(
        Journal::open(dir.path(), Claim::Alone).unwrap().epoch(),
        WriterEpoch(2)
    );
}

#[test]
fn a_takeover_fences_the_first_writer_for_good() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = Journal::open(dir.path(), Claim::Alone).unwrap();
    first.append(&batch(1, 2)).unwrap();
    let mut second = Journal::open(dir.path(), Claim::TakeOver).unwrap();
    for _ in 0..2 {
        let refused = first.append(&batch(3, 1));
        assert!(matches!(
            refused,
            Err(AppendError::Fenced {
                ours: WriterEpoch(1),
                current: WriterEpoch(2)
            })
        ));
    }
    second.append(&batch(3, 2)).unwrap();
    drop(first);
    assert!(matches!(
        Journal::open(dir.path(), Claim::Alone),
        Err(OpenError::AlreadyOpen { .. })
    ));
    assert_eq!(second.append(&batch(5, 1)).unwrap().last_seq, Seq(5));
    assert_eq!(verify(second.view(), Seq::FIRST).unwrap().records, 5);
}

#[test]
fn a_batch_that_does_not_follow_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(dir.path(), Claim::Alone).unwrap();
    for given in [0, 2] {
        let refused = journal.append(&batch(given, 1));
        assert!(matches!(
            refused,
            Err(AppendError::OutOfOrder {
                expected: Seq(1),
                ..
            })
        ));
    }
}

#[test]
fn a_follower_sees_each_batch_whole_while_the_writer_goes_on() {
    const LAST: u64 = 200;
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(dir.path(), Claim::Alone).unwrap();
    let reader = Reader::open(dir.path()).unwrap();
    let follower = std::thread::spawn(move || {
        let mut batches = reader.batches(Seq::FIRST).unwrap();
        let mut records = Vec::new();
        while batches.at().last_seq < Seq(LAST) {
            match batches.next() {
                Some(batch) => records.extend(batch.unwrap().records),
                None => std::thread::yield_now(),
            }
        }
        records
    });
    for first in (1..LAST).step_by(4) {
        journal.append(&batch(first, 4)).unwrap();
    }
    assert_eq!(
        follower.join().unwrap(),
        (1..=LAST).map(record).collect::<Vec<_>>()
    );
}

#[test]
fn what_is_not_a_journal_is_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.db");
    let mut other = b"a file of somebody's that is longer than a header of SQLite's own".repeat(20);
    std::fs::write(&path, &other).unwrap();
    let refused = Journal::open(dir.path(), Claim::Alone);
    assert!(
        matches!(refused, Err(OpenError::NotAJournal { .. })),
        "{refused:?}"
    );
    assert_eq!(std::fs::read(&path).unwrap(), other);

    std::fs::remove_file(&path).unwrap();
    let foreign = rusqlite::Connection::open(&path).unwrap();
    foreign.execute_batch("CREATE TABLE somebodys (x)").unwrap();
    drop(foreign);
    other = std::fs::read(&path).unwrap();
    let refused = Journal::open(dir.path(), Claim::Alone);
    assert!(
        matches!(refused, Err(OpenError::NotAJournal { .. })),
        "{refused:?}"
    );
    assert!(matches!(
        Reader::open(dir.path()),
        Err(OpenError::NotAJournal { .. })
    ));
    assert_eq!(std::fs::read(&path).unwrap(), other);
}

#[test]
fn the_journal_of_a_later_release_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(Journal::open(dir.path(), Claim::Alone).unwrap());
    let conn = rusqlite::Connection::open(dir.path().join("journal.db")).unwrap();
    conn.pragma_update(None, "user_version", 1_000).unwrap();
    drop(conn);
    let refused = Journal::open(dir.path(), Claim::Alone);
    assert!(
        matches!(refused, Err(OpenError::Schema { found: 1_000, .. })),
        "{refused:?}"
    );
    assert!(matches!(
        Reader::open(dir.path()),
        Err(OpenError::Schema { found: 1_000, .. })
    ));
}
