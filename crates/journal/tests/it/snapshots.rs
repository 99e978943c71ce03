//! Snapshots: the newest sound one of this history, whatever lies beside it.

use std::path::PathBuf;

use remuda_journal::{Claim, Journal, Latest, Seq, Snapshot, SnapshotError, Snapshots, Unfit};
use tempfile::TempDir;

use crate::sample::batch;

const FORMAT: u32 = 4;

fn snapshot(seq: u64) -> Snapshot {
    Snapshot {
        seq: Seq(seq),
        format: FORMAT,
        state: seq.to_be_bytes().repeat(20),
    }
}

fn journal_of_five() -> (TempDir, Journal, Snapshots) {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(dir.path(), Claim::Alone).unwrap();
    for first in 1..=5 {
        journal.append(&batch(first, 1)).unwrap();
    }
    let snapshots = Snapshots::open(dir.path()).unwrap();
    (dir, journal, snapshots)
}

fn files(dir: &TempDir) -> Vec<PathBuf> {
    let listed = std::fs::read_dir(dir.path().join("snapshots")).unwrap();
    let mut paths: Vec<_> = listed.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn seq(latest: &Latest) -> Option<Seq> {
    latest.snapshot.as_ref().map(|snapshot| snapshot.seq)
}

#[test]
fn the_last_two_are_kept_and_the_newest_is_found() {
    let (dir, _journal, snapshots) = journal_of_five();
    assert_eq!(seq(&snapshots.latest(FORMAT).unwrap()), None);
    for seq in 2..=5 {
        snapshots.save(&snapshot(seq)).unwrap();
    }
    assert_eq!(files(&dir).len(), 2);
    let latest = snapshots.latest(FORMAT).unwrap();
    assert_eq!(latest.snapshot, Some(snapshot(5)));
    assert!(latest.passed_over.is_empty());
    for (until, found) in [(3, None), (4, Some(Seq(4))), (9, Some(Seq(5)))] {
        let latest = snapshots.latest_until(Seq(until), FORMAT).unwrap();
        assert_eq!(seq(&latest), found, "until {until}");
    }
}

#[test]
fn every_damaged_byte_makes_it_fall_back() {
    let (dir, _journal, snapshots) = journal_of_five();
    snapshots.save(&snapshot(3)).unwrap();
    snapshots.save(&snapshot(5)).unwrap();
    let newest = files(&dir).pop().unwrap();
    let whole = std::fs::read(&newest).unwrap();
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        std::fs::write(&newest, &changed).unwrap();
        let latest = snapshots.latest(FORMAT).unwrap();
        assert_eq!(latest.snapshot, Some(snapshot(3)), "byte {at}");
        assert_eq!(latest.passed_over.len(), 1);
        std::fs::write(&newest, &whole[..at]).unwrap();
        assert_eq!(
            seq(&snapshots.latest(FORMAT).unwrap()),
            Some(Seq(3)),
            "cut at {at}"
        );
    }
    for path in files(&dir) {
        std::fs::write(path, b"").unwrap();
    }
    let latest = snapshots.latest(FORMAT).unwrap();
    assert!(latest.snapshot.is_none());
    assert!(
        latest
            .passed_over
            .iter()
            .all(|passed| matches!(passed.why, Unfit::Damaged))
    );
}

#[test]
fn another_format_and_another_history_are_passed_over() {
    let (dir, _journal, snapshots) = journal_of_five();
    snapshots.save(&snapshot(2)).unwrap();
    snapshots
        .save(&Snapshot {
            format: FORMAT + 1,
            ..snapshot(4)
        })
        .unwrap();
    let latest = snapshots.latest(FORMAT).unwrap();
    assert_eq!(latest.snapshot, Some(snapshot(2)));
    assert!(matches!(
        latest.passed_over[0].why,
        Unfit::Format { found: 5 }
    ));

    // The same records, but written in one batch: another chain.
    let other = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(other.path(), Claim::Alone).unwrap();
    journal.append(&batch(1, 5)).unwrap();
    std::fs::create_dir(other.path().join("snapshots")).unwrap();
    for path in files(&dir) {
        let name = path.file_name().unwrap();
        std::fs::copy(&path, other.path().join("snapshots").join(name)).unwrap();
    }
    let foreign = Snapshots::open(other.path()).unwrap();
    let latest = foreign.latest(FORMAT).unwrap();
    assert!(latest.snapshot.is_none());
    assert!(
        latest
            .passed_over
            .iter()
            .all(|passed| matches!(passed.why, Unfit::OtherHistory))
    );
    // Those of another history do not count among the two that are kept.
    foreign.save(&snapshot(1)).unwrap();
    foreign.save(&snapshot(3)).unwrap();
    assert_eq!(seq(&foreign.latest(FORMAT).unwrap()), Some(Seq(3)));
    assert_eq!(files(&other).len(), 4);
}

#[test]
fn a_snapshot_of_what_is_not_committed_is_refused() {
    let (dir, _journal, snapshots) = journal_of_five();
    let refused = snapshots.save(&snapshot(6));
    assert!(matches!(refused, Err(SnapshotError::Ahead { seq: Seq(6) })));
    assert!(!dir.path().join("snapshots").exists());
}

#[test]
fn what_a_crash_left_of_a_save_is_removed_by_the_next() {
    let (dir, _journal, snapshots) = journal_of_five();
    snapshots.save(&snapshot(1)).unwrap();
    std::fs::write(
        dir.path().join("snapshots/00000000000000000002.draft"),
        b"half",
    )
    .unwrap();
    assert_eq!(seq(&snapshots.latest(FORMAT).unwrap()), Some(Seq(1)));
    snapshots.save(&snapshot(3)).unwrap();
    assert_eq!(files(&dir).len(), 2);
}
