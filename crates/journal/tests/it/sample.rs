//! Batches whose content follows from their numbers.

use remuda_journal::{Batch, IdempotencyRow, Record, RecordDraft, Seq, Side};
use remuda_types::{CommandId, Digest, Time};

/// The record that stands at `seq` in every sample.
pub(crate) fn draft(seq: u64) -> RecordDraft {
    let body = Digest::of(&seq.to_be_bytes())
        .0
        .repeat(usize::try_from(seq % 7).unwrap());
    RecordDraft {
        at: Time::from_millis(1_000 * seq),
        command: CommandId::from_u128(u128::from(seq) << 64),
        body,
    }
}

/// The same, as it is read back.
pub(crate) fn record(seq: u64) -> Record {
    let RecordDraft { at, command, body } = draft(seq);
    Record {
        seq: Seq(seq),
        at,
        command,
        body,
    }
}

/// The row beside the record at `seq`.
pub(crate) fn row(seq: u64) -> IdempotencyRow {
    IdempotencyRow {
        key: Digest::of(format!("key {seq}").as_bytes()),
        request: Digest::of(format!("request {seq}").as_bytes()),
        response: seq.to_be_bytes().to_vec(),
        expires: Time::from_millis(seq),
    }
}

/// `count` records from `first`, each with its row.
pub(crate) fn batch(first: u64, count: u64) -> Batch {
    Batch {
        first_seq: Seq(first),
        records: (first..first + count).map(draft).collect(),
        sides: (first..first + count)
            .map(row)
            .map(Side::Idempotency)
            .collect(),
    }
}
