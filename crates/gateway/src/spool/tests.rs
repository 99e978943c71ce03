//! The spool over restarts.

use remuda_routing::meter::Delivered;
use remuda_routing::{Delivery, Rate};
use remuda_types::{ApiKeyId, Digest, LeaseId, Money, ProjectId, RequestId, Time, TrancheId};
use remuda_wire::gateway::PostUsage;

use super::*;

const TRANCHE: TrancheId = TrancheId::from_u128(1);
const RATE: Rate = Rate {
    prompt_micros_per_million: 1_000_000,
    completion_micros_per_million: 2_000_000,
};

fn reopen(dir: &Path, notes: Vec<Note>) -> Recovered {
    let (spool, _, thread) = Spool::open(dir).unwrap();
    for note in notes {
        drop(spool.note(note));
    }
    drop(spool);
    thread.join().unwrap();
    let (_, recovered, _) = Spool::open(dir).unwrap();
    recovered
}

fn opened() -> Vec<Note> {
    let amount = Money::from_micros(1_000);
    let asked = Asked {
        tranche: TRANCHE,
        project: ProjectId::from_u128(2),
        amount,
    };
    let deadline = Time::from_millis(99);
    vec![
        Note::Asked(asked),
        Note::Granted {
            tranche: TRANCHE,
            amount,
            deadline,
        },
    ]
}

fn reserved(n: u128) -> Note {
    Note::Reserved(Reserved {
        request: RequestId::from_u128(n),
        tranche: TRANCHE,
        key: ApiKeyId::from_u128(3),
        rate: RATE,
        prompt_tokens: 10,
        amount: Money::from_micros(100),
    })
}

fn delivery(tokens: u32) -> Delivery {
    let delivered = vec![Delivered {
        lease: LeaseId::from_u128(4),
        tokens,
    }];
    Delivery {
        prompt_tokens: 10,
        delivered,
        ended_by: None,
    }
}

fn billed(n: u128, ordinal: u64) -> Note {
    Note::Billed(Box::new(Billed {
        request: RequestId::from_u128(n),
        tranche: TRANCHE,
        key: ApiKeyId::from_u128(3),
        rate: RATE,
        delivery: delivery(5),
        ordinal,
    }))
}

fn posting(seq: u64, bills: u64) -> Note {
    let post = PostUsage {
        tranche: TRANCHE,
        seq,
        totals: Vec::new(),
        rows: Digest::default(),
    };
    Note::Posting(Box::new(Posting { post, bills }))
}

#[test]
fn a_request_that_was_cut_off_is_billed_its_last_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let mut notes = opened();
    notes.extend([reserved(1), reserved(2)]);
    let first = vec![(RequestId::from_u128(1), delivery(3))];
    let second = vec![(RequestId::from_u128(1), delivery(7))];
    notes.extend([Note::Checkpoints(first), Note::Checkpoints(second)]);
    let recovered = reopen(dir.path(), notes);
    assert_eq!(recovered.cut_off, 2);
    // The second had nothing delivered: it is billed nothing and posted nowhere.
    assert_eq!(recovered.bills.len(), 1);
    assert_eq!(recovered.bills[0].delivery, delivery(7));
    let left = Money::from_micros(1_000 - 10 - 14);
    let deadline = Time::from_millis(99);
    assert_eq!(
        recovered.tranches[0].standing,
        Standing::Open { left, deadline }
    );
}

#[test]
fn opening_twice_bills_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut notes = opened();
    notes.extend([
        reserved(1),
        Note::Checkpoints(vec![(RequestId::from_u128(1), delivery(3))]),
    ]);
    reopen(dir.path(), notes);
    let again = reopen(dir.path(), Vec::new());
    assert_eq!((again.cut_off, again.bills.len()), (0, 1));
    let Standing::Open { left, .. } = again.tranches[0].standing else {
        panic!("it is open")
    };
    assert_eq!(left, Money::from_micros(1_000 - 10 - 6));
}

#[test]
fn a_late_checkpoint_does_not_change_a_bill() {
    let dir = tempfile::tempdir().unwrap();
    let mut notes = opened();
    notes.extend([reserved(1), billed(1, 1)]);
    notes.push(Note::Checkpoints(vec![(
        RequestId::from_u128(1),
        delivery(2),
    )]));
    assert_eq!(reopen(dir.path(), notes).bills[0].delivery, delivery(5));
}

#[test]
fn a_post_takes_the_oldest_bills_and_its_answer_deletes_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut notes = opened();
    notes.extend([reserved(1), reserved(2), reserved(3)]);
    notes.extend([billed(2, 1), billed(1, 2), posting(1, 2), billed(3, 3)]);
    let recovered = reopen(dir.path(), notes);
    assert_eq!(recovered.bills.len(), 1);
    assert_eq!(recovered.bills[0].request, RequestId::from_u128(3));
    assert_eq!(
        recovered.tranches[0]
            .outstanding
            .as_ref()
            .map(|post| post.seq),
        Some(1)
    );
    let after = reopen(
        dir.path(),
        vec![Note::Acknowledged {
            tranche: TRANCHE,
            seq: 1,
        }],
    );
    assert_eq!((after.bills.len(), after.tranches[0].acknowledged), (1, 1));
    assert!(after.tranches[0].outstanding.is_none());
    assert_eq!(after.next_ordinal, 4);
}

#[test]
fn a_closed_tranche_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut notes = opened();
    notes.extend([reserved(1), billed(1, 1), Note::Closed(TRANCHE)]);
    let recovered = reopen(dir.path(), notes);
    assert!(recovered.tranches.is_empty() && recovered.bills.is_empty());
}

#[tokio::test]
async fn a_fault_that_stays_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, _, _) = Spool::open(dir.path()).unwrap();
    for note in opened() {
        assert_eq!(spool.note(note).durable().await, Ok(()));
    }
    assert_eq!(spool.note(reserved(1)).durable().await, Ok(()));
    // The same request twice breaks the table's own rule, as a full disk would break a write.
    assert_eq!(spool.note(reserved(1)).durable_or_not().await, Err(Broken));
    assert_eq!(spool.note(reserved(2)).durable_or_not().await, Err(Broken));
    spool.given_up(Duration::from_millis(10)).await;
}

#[tokio::test]
async fn notes_wait_for_a_file_that_cannot_be_written_and_keep_their_order() {
    let dir = tempfile::tempdir().unwrap();
    reopen(dir.path(), opened());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let until = now.unwrap().as_secs() + 3;
    let fault = format!(
        "CREATE TRIGGER fault BEFORE INSERT ON requests WHEN unixepoch() < {until}
         BEGIN SELECT RAISE(FAIL, 'no room'); END"
    );
    let database = rusqlite::Connection::open(dir.path().join("spool.db")).unwrap();
    database.execute_batch(&fault).unwrap();
    drop(database);
    let (spool, _, thread) = Spool::open(dir.path()).unwrap();
    assert!(spool.is_sound());
    assert_eq!(spool.note(reserved(1)).durable_or_not().await, Err(Broken));
    assert!(!spool.is_sound());
    let waits = spool.note(billed(1, 1));
    assert_eq!(spool.note(reserved(2)).durable_or_not().await, Err(Broken));
    assert_eq!(waits.durable().await, Ok(()));
    assert!(spool.is_sound());
    drop(spool);
    thread.join().unwrap();
    let (_, recovered, _) = Spool::open(dir.path()).unwrap();
    assert_eq!(recovered.bills.len(), 1);
    assert_eq!(recovered.cut_off, 1);
}
