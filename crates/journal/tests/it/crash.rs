//! A writer killed at any instant: what it has acknowledged is there, and nothing by halves.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use remuda_journal::{Claim, Journal, Seq, Snapshot, Snapshots, verify};

use crate::sample::{batch, record, row};

const ROUNDS: u64 = 30;

/// This binary as a process that appends until it is killed.
fn spawn(dir: &Path) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "crash::appends_until_killed",
            "--ignored",
            "--nocapture",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let line = dir.to_str().unwrap().to_owned() + "\n";
    child
        .stdin
        .as_mut()
        .unwrap()
        .write_all(line.as_bytes())
        .unwrap();
    child
}

#[test]
#[ignore = "the child of the test below"]
fn appends_until_killed() {
    let mut dir = String::new();
    std::io::stdin().read_line(&mut dir).unwrap();
    if dir.is_empty() {
        return;
    }
    let dir = Path::new(dir.trim_end());
    let mut journal = Journal::open(dir, Claim::Alone).unwrap();
    let snapshots = Snapshots::open(dir).unwrap();
    loop {
        let first = journal.head().last_seq.next().0;
        let seq = journal
            .append(&batch(first, 1 + first % 50))
            .unwrap()
            .last_seq;
        writeln!(std::io::stdout(), "ack {seq}").unwrap();
        if first.is_multiple_of(3) {
            snapshots
                .save(&Snapshot {
                    seq,
                    format: 1,
                    state: vec![1; 100_000],
                })
                .unwrap();
        }
    }
}

/// Waits for `acks` lines, a little longer, kills, and returns the last record acknowledged.
fn run_and_kill(dir: &Path, acks: u64, longer: Duration) -> Option<u64> {
    let mut child = spawn(dir);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut last = lines
        .by_ref()
        .filter_map(|line| acknowledged(&line.unwrap()))
        .take(usize::try_from(acks).unwrap())
        .last();
    std::thread::sleep(longer);
    child.kill().unwrap();
    child.wait().unwrap();
    // What the pipe still holds was acknowledged, too.
    for line in lines.map_while(Result::ok) {
        last = last.max(acknowledged(&line));
    }
    last
}

fn acknowledged(line: &str) -> Option<u64> {
    line.split_once("ack ")?.1.parse().ok()
}

#[test]
fn nothing_acknowledged_is_lost_however_often_the_writer_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for round in 0..ROUNDS {
        let longer = Duration::from_micros(round * round * 7_919 % 9_973);
        let last = run_and_kill(dir.path(), round % 5, longer);
        acknowledged = acknowledged.max(last.unwrap_or(0));
        let journal = Journal::open(dir.path(), Claim::Alone).unwrap();
        let committed = journal.head().last_seq.0;
        assert!(committed >= acknowledged, "{committed} of {acknowledged}");
        let verified = verify(journal.view(), Seq::FIRST).unwrap();
        assert_eq!(
            (verified.records, verified.committed),
            (committed, journal.head())
        );
        let latest = Snapshots::open(dir.path()).unwrap().latest(1).unwrap();
        assert!(latest.passed_over.is_empty(), "{:?}", latest.passed_over);
    }
    assert!(acknowledged > ROUNDS, "the child did not get to work");
    let journal = Journal::open(dir.path(), Claim::Alone).unwrap();
    let last = journal.head().last_seq.0;
    let read = journal.view().read(Seq::FIRST, usize::MAX).unwrap();
    assert_eq!(read, (1..=last).map(record).collect::<Vec<_>>());
    assert_eq!(journal.view().stats().unwrap().idempotency_rows, last);
    assert_eq!(
        journal.view().idempotency(row(last).key).unwrap(),
        Some(row(last))
    );
}
