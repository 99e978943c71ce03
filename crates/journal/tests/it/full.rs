//! A file system that is really full.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use remuda_journal::{
    AppendError, Claim, Journal, Reader, Seq, Snapshot, SnapshotError, Snapshots, verify,
};

use crate::sample::batch;

/// Runs the test below in its own mount namespace, where its folder is a file system of 4 MiB.
#[test]
fn a_full_file_system_costs_nothing_that_was_committed() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c"])
        .arg("mount -t tmpfs -o size=4m tmpfs \"$1\" && exec \"$0\" --exact full::fills_up --ignored")
        .arg(std::env::current_exe().unwrap())
        .arg(dir.path())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(dir.path().to_str().unwrap().as_bytes())
        .unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
#[ignore = "the child of the test above"]
fn fills_up() {
    let mut dir = String::new();
    std::io::stdin().read_to_string(&mut dir).unwrap();
    if dir.is_empty() {
        return;
    }
    let dir = Path::new(&dir);
    let mut journal = Journal::open(dir, Claim::Alone).unwrap();
    let reader = Reader::open(dir).unwrap();
    let snapshots = Snapshots::open(dir).unwrap();
    journal.append(&batch(1, 10)).unwrap();
    snapshots
        .save(&Snapshot {
            seq: Seq(10),
            format: 1,
            state: vec![1; 1_000],
        })
        .unwrap();

    let ballast = dir.join("ballast");
    fill(&ballast);
    let before = append_until_full(&mut journal);
    assert_eq!(journal.head(), before);
    assert_eq!(verify(&reader, Seq::FIRST).unwrap().committed, before);
    let refused = snapshots.save(&Snapshot {
        seq: before.last_seq,
        format: 1,
        state: vec![1; 1 << 20],
    });
    assert!(
        matches!(refused, Err(SnapshotError::Full { .. })),
        "{refused:?}"
    );
    assert_eq!(snapshots.latest(1).unwrap().snapshot.unwrap().seq, Seq(10));

    std::fs::remove_file(&ballast).unwrap();
    let next = before.last_seq.next().0;
    assert_eq!(
        journal.append(&batch(next, 10)).unwrap().last_seq,
        before.last_seq.plus(10)
    );
    drop(journal);
    let journal = Journal::open(dir, Claim::Alone).unwrap();
    assert_eq!(
        verify(journal.view(), Seq::FIRST).unwrap().committed,
        journal.head()
    );
}

fn fill(path: &Path) {
    let mut ballast = File::create(path).unwrap();
    while ballast.write_all(&[0; 4_096]).is_ok() {}
}

/// Appends until the disk is full, as what SQLite has reserved before may still take some.
fn append_until_full(journal: &mut Journal) -> remuda_journal::Committed {
    loop {
        let before = journal.head();
        match journal.append(&batch(before.last_seq.next().0, 1_000)) {
            Ok(_) => {}
            Err(AppendError::Full { .. }) => return before,
            Err(other) => panic!("{other:?}"),
        }
    }
}
