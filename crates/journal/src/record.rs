//! Records, and the batches they are committed in.

use std::fmt;

use minicbor::{Decoder, Encoder};
use remuda_types::{CommandId, Time};

use crate::chain::{ChainHead, WriterEpoch};
use crate::side::Side;

/// The number of a record: from 1, without a gap.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    minicbor::Encode,
    minicbor::Decode,
    minicbor::CborLen,
)]
#[cbor(transparent)]
pub struct Seq(#[n(0)] pub u64);

impl Seq {
    /// Before the first record: how far an empty journal is.
    pub const NONE: Self = Self(0);
    /// The first record.
    pub const FIRST: Self = Self(1);

    /// The number after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        self.plus(1)
    }

    /// The number `count` further on.
    #[must_use]
    pub const fn plus(self, count: u64) -> Self {
        Self(self.0.saturating_add(count))
    }

    /// How many records lie after `earlier`, up to and with this one.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A record that is to be appended; its place in the batch gives it its number.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(map)]
pub struct RecordDraft {
    /// Control's clock when the command was decided.
    #[n(0)]
    pub at: Time,
    /// The command that caused it.
    #[n(1)]
    pub command: CommandId,
    /// The events, as CBOR; the journal does not look into it.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub body: Vec<u8>,
}

/// A record as it is read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number.
    pub seq: Seq,
    /// Control's clock when the command was decided.
    pub at: Time,
    /// The command that caused it.
    pub command: CommandId,
    /// The events, as CBOR.
    pub body: Vec<u8>,
}

/// What is committed together: all of it or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The number of the first record: one after the journal's last.
    pub first_seq: Seq,
    /// The records, in order. May be empty: then the chain stays as it is and only `sides` are
    /// committed.
    pub records: Vec<RecordDraft>,
    /// Rows beside the log, applied in order.
    pub sides: Vec<Side>,
}

/// How far a journal is committed. The default is an empty journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// The last record.
    pub last_seq: Seq,
    /// The hash of the batch that holds it.
    pub head: ChainHead,
}

/// A batch as it is read back, its hash and its place in the chain checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBatch {
    /// Who wrote it.
    pub epoch: WriterEpoch,
    /// The number of its first record.
    pub first_seq: Seq,
    /// How far the journal is with this batch.
    pub committed: Committed,
    /// Its records.
    pub records: Vec<Record>,
}

impl RecordDraft {
    fn numbered(self, seq: Seq) -> Record {
        Record {
            seq,
            at: self.at,
            command: self.command,
            body: self.body,
        }
    }
}

/// Writes the canonical payload of `records` to the end of `buffer`: a CBOR array of maps.
#[expect(
    clippy::expect_used,
    reason = "a Vec takes every byte, and none of the types can refuse"
)]
pub(crate) fn encode_payload(records: &[RecordDraft], buffer: &mut Vec<u8>) {
    let mut encoder = Encoder::new(buffer);
    encoder
        .array(records.len() as u64)
        .and_then(|e| records.iter().try_fold(e, Encoder::encode))
        .map(drop)
        .expect("encoding to memory does not fail");
}

/// Reads a payload; `None` if it is anything but a whole array of records and nothing after it.
pub(crate) fn decode_payload(payload: &[u8], first_seq: Seq) -> Option<Vec<Record>> {
    let mut decoder = Decoder::new(payload);
    let drafts: Vec<RecordDraft> = decoder.array_iter().ok()?.collect::<Result<_, _>>().ok()?;
    let whole = decoder.position() == payload.len();
    whole.then(|| number(drafts, first_seq))
}

fn number(drafts: Vec<RecordDraft>, first_seq: Seq) -> Vec<Record> {
    (first_seq.0..)
        .zip(drafts)
        .map(|(seq, draft)| draft.numbered(Seq(seq)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn draft() -> impl Strategy<Value = RecordDraft> {
        (
            any::<u64>(),
            any::<u128>(),
            proptest::collection::vec(any::<u8>(), 0..64),
        )
            .prop_map(|(at, command, body)| RecordDraft {
                at: Time::from_millis(at),
                command: CommandId::from_u128(command),
                body,
            })
    }

    proptest! {
        #[test]
        fn payloads_round_trip(
            drafts in proptest::collection::vec(draft(), 0..20),
            first in 1_u64..1 << 40,
        ) {
            let mut payload = Vec::new();
            encode_payload(&drafts, &mut payload);
            let records = decode_payload(&payload, Seq(first)).expect("our own payload");
            prop_assert_eq!(records, number(drafts, Seq(first)));
        }

        #[test]
        fn a_cut_or_longer_payload_is_none(
            drafts in proptest::collection::vec(draft(), 1..4),
            cut in any::<proptest::sample::Index>(),
        ) {
            let mut payload = Vec::new();
            encode_payload(&drafts, &mut payload);
            prop_assert_eq!(decode_payload(&payload[..cut.index(payload.len())], Seq(1)), None);
            payload.push(0);
            prop_assert_eq!(decode_payload(&payload, Seq(1)), None);
        }

        #[test]
        fn any_bytes_are_a_payload_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            if let Some(records) = decode_payload(&bytes, Seq(1)) {
                prop_assert!(records.len() <= bytes.len());
            }
        }
    }
}
