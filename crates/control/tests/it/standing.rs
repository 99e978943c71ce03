//! What becomes of a control that fails, is superseded, is stopped, or comes back to a journal that
//! is not as it left it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use remuda_control::core::recover;
use remuda_control::core::vitals::Part;
use remuda_control::sequencer::SubmitError;
use remuda_control::{Core, Running, start};
use remuda_journal::{
    Batch, Claim, IdempotencyRow, Journal, Reader, RecordDraft, Seq, Side, WriterEpoch,
};
use remuda_network::Command;
use remuda_network::policy::Policy;
use remuda_types::{CommandId, Digest, Entropy, Label, Span, Time};
use rusqlite::Connection;
use serde_json::json;

use crate::harness::{Control, config};

/// Long enough for a control that cannot write to have tried again.
const RETRIED: Duration = Duration::from_millis(2_500);

async fn started(dir: &Path) -> Running {
    start(config(dir, Policy::default())).await.unwrap()
}

async fn tenant(core: &Core, name: u8) -> Result<Seq, SubmitError> {
    let label = Label([name; 16]);
    let receipt = core.submit_own(Command::CreateTenant { label }).await?;
    Ok(receipt.seq)
}

#[track_caller]
fn is_fenced(outcome: &Result<Seq, SubmitError>) -> bool {
    matches!(outcome, Err(SubmitError::ReadOnly { why }) if why.contains("fenced"))
}

/// Something written as the writer of `journal`.
fn append(journal: &mut Journal, at: Time) {
    let record = RecordDraft {
        at,
        command: CommandId::new(at, Entropy([7; 10])),
        body: recover::encode(&[]),
    };
    let batch = Batch {
        first_seq: journal.head().last_seq.next(),
        records: vec![record],
        sides: Vec::new(),
    };
    journal.append(&batch).unwrap();
}

fn broken(dir: &Path) -> Connection {
    let connection = Connection::open(dir.join("journal.db")).unwrap();
    let refuse =
        "create trigger refuse before insert on batch begin select raise(abort, 'no'); end";
    connection.execute_batch(refuse).unwrap();
    connection
}

#[tokio::test(flavor = "multi_thread")]
async fn a_superseded_control_never_takes_the_journal_back() {
    let dir = tempfile::tempdir().unwrap();
    let running = started(dir.path()).await;
    let mut standby = Journal::open(dir.path(), Claim::TakeOver).unwrap();
    assert!(is_fenced(&tenant(&running.core, 1).await));
    tokio::time::sleep(RETRIED).await;
    assert!(is_fenced(&tenant(&running.core, 1).await));
    assert!(running.core.follower().writable().is_err());
    append(&mut standby, running.core.clock().now());
    let epoch = Reader::open(dir.path()).unwrap().stats().unwrap().epoch;
    assert_eq!(epoch, WriterEpoch(2));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_after_a_failure_of_the_disk_during_which_it_was_superseded() {
    let dir = tempfile::tempdir().unwrap();
    let running = started(dir.path()).await;
    let disk = broken(dir.path());
    let refused = tenant(&running.core, 1).await;
    assert!(matches!(refused, Err(SubmitError::ReadOnly { .. })) && !is_fenced(&refused));
    let mut standby = Journal::open(dir.path(), Claim::TakeOver).unwrap();
    disk.execute_batch("drop trigger refuse").unwrap();
    tokio::time::sleep(RETRIED).await;
    assert!(is_fenced(&tenant(&running.core, 1).await));
    append(&mut standby, running.core.clock().now());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failure_of_the_disk_control_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let running = started(dir.path()).await;
    let before = tenant(&running.core, 1).await.unwrap();
    let disk = broken(dir.path());
    assert!(tenant(&running.core, 2).await.is_err());
    disk.execute_batch("drop trigger refuse").unwrap();
    tokio::time::sleep(RETRIED).await;
    let after = tenant(&running.core, 3).await.unwrap();
    assert_eq!(after, before.next());
    let tenants = running.core.read(|network| network.state().tenants.len());
    assert_eq!(tenants, 2);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_reached_the_disk_although_its_writer_was_refused_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let running = started(dir.path()).await;
    let before = running.seq();
    let disk = broken(dir.path());
    assert!(tenant(&running.core, 1).await.is_err());
    disk.execute_batch("drop trigger refuse").unwrap();
    let mut stand_in = Journal::open(dir.path(), Claim::TakeOver).unwrap();
    append(&mut stand_in, running.core.clock().now());
    drop(stand_in);
    disk.execute_batch("update writer set epoch = 1").unwrap();
    tokio::time::sleep(RETRIED).await;
    assert_eq!(running.seq(), before.next());
    let after = tenant(&running.core, 1).await.unwrap();
    assert_eq!(after, before.plus(2));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kept_answers_that_have_expired_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(dir.path(), Claim::Alone).unwrap();
    let row = |number: u64| {
        let expires = if number < 2_500 {
            Time::from_millis(1)
        } else {
            Time::FOREVER
        };
        Side::Idempotency(IdempotencyRow {
            key: Digest::of(&number.to_be_bytes()),
            request: Digest::default(),
            response: Vec::new(),
            expires,
        })
    };
    let batch = Batch {
        first_seq: Seq::FIRST,
        records: Vec::new(),
        sides: (0..2_600).map(row).collect(),
    };
    journal.append(&batch).unwrap();
    drop(journal);
    let running = started(dir.path()).await;
    let reader = Reader::open(dir.path()).unwrap();
    let rows = || reader.stats().unwrap().idempotency_rows;
    for _ in 0..100 {
        if rows() == 100 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(rows(), 100);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_from_the_future_is_gone_on_with() {
    let dir = tempfile::tempdir().unwrap();
    let running = started(dir.path()).await;
    let future = running.core.clock().now() + Span::from_secs(365 * 86_400);
    running.stop().await;
    let mut journal = Journal::open(dir.path(), Claim::Alone).unwrap();
    append(&mut journal, future);
    drop(journal);
    let running = started(dir.path()).await;
    assert!(running.core.clock().now() >= future);
    tenant(&running.core, 1).await.unwrap();
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_ends_unasked_is_told_to_whoever_runs_control() {
    let control = Control::start().await;
    let mut failed = Box::pin(control.running.failed());
    let early = tokio::time::timeout(Duration::from_millis(100), &mut failed).await;
    assert!(early.is_err(), "{early:?}");
    drop(control.running.core.vitals().watch(Part::Detector));
    assert_eq!(failed.await.part, Part::Detector);
    let ready = control.get("", "/v1/ready").await.expect(503);
    assert_eq!(ready["writable"], false);
    assert!(ready["why"].as_str().unwrap().contains("failure detector"));
    control.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn control_stops_although_somebody_holds_on_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let running = started(dir.path()).await;
    let held = running.core.clone();
    let accepted = tenant(&held, 1).await.unwrap();
    let stopped = tokio::time::timeout(Duration::from_secs(30), running.stop()).await;
    assert!(stopped.is_ok(), "it waits for ever");
    assert!(matches!(tenant(&held, 2).await, Err(SubmitError::Stopping)));
    assert_eq!(held.vitals().failure(), None);
    let reader = Reader::open(dir.path()).unwrap();
    assert_eq!(reader.head().unwrap().last_seq, accepted);
}

/// The journal's file, alone; its writer has stopped.
fn copy(from: &Path, to: &Path) {
    for beside in ["-wal", "-shm"] {
        let left = format!("{}{beside}", to.display());
        drop(fs::remove_file(left));
    }
    fs::copy(from, to).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn projections_that_are_ahead_of_a_restored_journal_are_built_anew() {
    let control = Control::start().await;
    control.make("/v1/tenants", &json!({"name": "A"})).await;
    let control = control.restart().await;
    let (journal, backup) = (control.file("journal.db"), control.file("backup.db"));
    let backed_up = Connection::open(&journal).unwrap();
    let target = backup.display().to_string();
    backed_up.execute("vacuum into ?1", [target]).unwrap();
    drop(backed_up);
    for name in ["B", "C", "D"] {
        control.make("/v1/tenants", &json!({"name": name})).await;
    }
    let control = control.restart_after(|_| copy(&backup, &journal)).await;
    control.make("/v1/tenants", &json!({"name": "E"})).await;
    let events = control
        .get(&control.operator, "/v1/events?limit=500")
        .await
        .expect(200);
    let events = events["data"].as_array().unwrap();
    let made = events
        .iter()
        .filter(|event| event["type"] == "tenant_created");
    assert_eq!(made.count(), 2, "A and E: {events:#?}");
    control.running.stop().await;
}
