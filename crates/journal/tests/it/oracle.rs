//! The journal against one that is kept in memory, through any history of what may happen to it.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use remuda_journal::{
    Batch, Claim, IdempotencyRow, Journal, Reader, Record, RecordDraft, SealedRow, Seq, Side,
    verify,
};
use remuda_types::{CommandId, Digest, Label, Time};

#[derive(Clone, Debug)]
enum Step {
    Append {
        records: Vec<RecordDraft>,
        sides: Vec<Side>,
    },
    Reopen,
    TakeOver,
    Expire {
        now: u64,
        at_most: u32,
    },
}

/// What the journal should hold.
#[derive(Debug, Default)]
struct Oracle {
    records: Vec<Record>,
    batches: u64,
    idempotency: BTreeMap<[u8; 32], IdempotencyRow>,
    sealed: BTreeMap<([u8; 16], [u8; 16]), SealedRow>,
    meta: BTreeMap<String, Vec<u8>>,
}

impl Oracle {
    fn next_seq(&self) -> Seq {
        Seq(self.records.len() as u64 + 1)
    }

    fn append(&mut self, batch: Batch) {
        self.batches += u64::from(!batch.records.is_empty());
        for draft in batch.records {
            let RecordDraft { at, command, body } = draft;
            self.records.push(Record {
                seq: self.next_seq(),
                at,
                command,
                body,
            });
        }
        batch.sides.into_iter().for_each(|side| self.side(side));
    }

    fn side(&mut self, side: Side) {
        match side {
            Side::Idempotency(row) => drop(self.idempotency.insert(row.key.0, row)),
            Side::Sealed(row) => drop(self.sealed.insert((row.owner, row.key.0), row)),
            Side::SealedErase { owner } => self.sealed.retain(|(whose, _), _| *whose != owner),
            Side::Meta { key, value } => drop(self.meta.insert(key, value)),
            Side::MetaErase { key } => drop(self.meta.remove(&key)),
        }
    }

    /// How many rows an expiry removes; the oldest go first, and none that has time left.
    fn expire(&mut self, now: u64, at_most: u32, journal: &Journal) -> usize {
        let mut due: Vec<_> = self
            .idempotency
            .values()
            .map(|row| (row.expires, row.key))
            .collect();
        due.retain(|(expires, _)| expires.as_millis() <= now);
        due.sort();
        let kept = |key: Digest| journal.view().idempotency(key).unwrap().is_some();
        let gone = due.len().min(at_most as usize);
        // Which of those that expire at the same instant go is left open: ask.
        let latest_gone = gone.checked_sub(1).map(|last| due[last].0);
        for (expires, key) in due {
            if Some(expires) < latest_gone {
                assert!(!kept(key));
            }
            if !kept(key) {
                self.idempotency.remove(&key.0);
            }
        }
        gone
    }

    fn check(&self, reader: &Reader) -> Result<(), TestCaseError> {
        let verified = verify(reader, Seq::FIRST).unwrap();
        prop_assert_eq!(verified.records, self.records.len() as u64);
        prop_assert_eq!(verified.batches, self.batches);
        prop_assert_eq!(verified.committed, reader.head().unwrap());
        prop_assert_eq!(&reader.read(Seq::FIRST, usize::MAX).unwrap(), &self.records);
        for row in self.idempotency.values() {
            prop_assert_eq!(reader.idempotency(row.key).unwrap(), Some(row.clone()));
        }
        let rows = reader.stats().unwrap().idempotency_rows;
        prop_assert_eq!(rows, self.idempotency.len() as u64);
        let sealed: Vec<_> = self.sealed.values().cloned().collect();
        prop_assert_eq!(reader.sealed_all().unwrap(), sealed);
        for key in KEYS {
            prop_assert_eq!(reader.meta(key).unwrap(), self.meta.get(key).cloned());
        }
        Ok(())
    }
}

const KEYS: [&str; 2] = ["wrapped keys", "policy"];

fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..most)
}

fn draft() -> impl Strategy<Value = RecordDraft> {
    (any::<u64>(), any::<u128>(), bytes(2_000)).prop_map(|(at, command, body)| RecordDraft {
        at: Time::from_millis(at),
        command: CommandId::from_u128(command),
        body,
    })
}

fn side() -> impl Strategy<Value = Side> {
    // Few keys, so that rows meet.
    let idempotency = (0_u8..6, any::<[u8; 32]>(), bytes(300), 0_u64..20).prop_map(
        |(key, request, response, expires)| {
            Side::Idempotency(IdempotencyRow {
                key: Digest([key; 32]),
                request: Digest(request),
                response,
                expires: Time::from_millis(expires),
            })
        },
    );
    let sealed = (0_u8..3, 0_u8..3, bytes(300)).prop_map(|(owner, key, ciphertext)| {
        Side::Sealed(SealedRow {
            owner: [owner; 16],
            key: Label([key; 16]),
            ciphertext,
        })
    });
    let meta = (0..KEYS.len(), bytes(50)).prop_map(|(key, value)| Side::Meta {
        key: KEYS[key].to_owned(),
        value,
    });
    prop_oneof![
        3 => idempotency,
        2 => sealed,
        1 => (0_u8..3).prop_map(|owner| Side::SealedErase { owner: [owner; 16] }),
        1 => meta,
        1 => (0..KEYS.len()).prop_map(|key| Side::MetaErase { key: KEYS[key].to_owned() }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (vec(draft(), 0..12), vec(side(), 0..4))
            .prop_map(|(records, sides)| Step::Append { records, sides }),
        2 => Just(Step::Reopen),
        1 => Just(Step::TakeOver),
        1 => (0_u64..20, 0_u32..4).prop_map(|(now, at_most)| Step::Expire { now, at_most }),
    ]
}

fn take(
    step: Step,
    dir: &std::path::Path,
    mut journal: Journal,
    oracle: &mut Oracle,
) -> Result<Journal, TestCaseError> {
    match step {
        Step::Append { records, sides } => {
            let batch = Batch {
                first_seq: oracle.next_seq(),
                records,
                sides,
            };
            let committed = journal.append(&batch).unwrap();
            oracle.append(batch);
            prop_assert_eq!(committed.last_seq.next(), oracle.next_seq());
            prop_assert_eq!(committed, journal.head());
        }
        Step::Reopen => {
            let before = journal.head();
            drop(journal);
            journal = Journal::open(dir, Claim::Alone).unwrap();
            prop_assert_eq!(journal.head(), before);
        }
        Step::TakeOver => {
            let mut fenced = journal;
            journal = Journal::open(dir, Claim::TakeOver).unwrap();
            let draft = RecordDraft {
                at: Time::EPOCH,
                command: CommandId::from_u128(0),
                body: Vec::new(),
            };
            let batch = Batch {
                first_seq: oracle.next_seq(),
                records: vec![draft],
                sides: Vec::new(),
            };
            prop_assert!(fenced.append(&batch).is_err());
        }
        Step::Expire { now, at_most } => {
            let gone = journal
                .expire_idempotency(Time::from_millis(now), at_most)
                .unwrap();
            prop_assert_eq!(gone, oracle.expire(now, at_most, &journal));
        }
    }
    Ok(journal)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn any_history_is_kept_as_in_memory(steps in vec(step(), 1..16)) {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(dir.path(), Claim::Alone).unwrap();
        let reader = Reader::open(dir.path()).unwrap();
        let mut oracle = Oracle::default();
        for step in steps {
            journal = take(step, dir.path(), journal, &mut oracle)?;
            oracle.check(journal.view())?;
            oracle.check(&reader)?;
        }
    }

    #[test]
    fn any_part_can_be_read(sizes in vec(1_u64..6, 1..6), from in 0_u64..30, most in 0_usize..30) {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(dir.path(), Claim::Alone).unwrap();
        for size in sizes {
            let first = journal.head().last_seq.next().0;
            journal.append(&crate::sample::batch(first, size)).unwrap();
        }
        let expected: Vec<_> = (from.max(1)..=journal.head().last_seq.0)
            .take(most)
            .map(crate::sample::record)
            .collect();
        prop_assert_eq!(journal.view().read(Seq(from), most).unwrap(), expected);
    }
}
