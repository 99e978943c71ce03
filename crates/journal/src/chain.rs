//! The hash chain over batches.
//!
//! `hash = BLAKE3(DOMAIN ‖ previous ‖ first_seq ‖ last_seq ‖ writer_epoch ‖ payload)`, numbers as
//! eight bytes big-endian. The chain shows every change, insertion and removal but one: a tail cut
//! off whole. Against that, heads are co-signed by checkers, outside of this crate.

use std::fmt;

use remuda_types::Digest;

use crate::record::{Committed, Seq, StoredBatch, decode_payload};

const DOMAIN: &[u8] = b"remuda journal batch 1\0";

/// The hash of a batch, and so of everything up to it. The default is that of an empty journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, minicbor::Encode, minicbor::Decode)]
#[cbor(transparent)]
pub struct ChainHead(#[n(0)] pub Digest);

impl fmt::Display for ChainHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The ordinal of a writer: each that opens the journal takes the next, and so fences the one
/// before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WriterEpoch(pub u64);

impl fmt::Display for WriterEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The first place where the log is not what was committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the batch of records {first_seq} to {last_seq} is not what was committed: {what}")]
pub struct Tampered {
    /// What the batch's row says is its first record.
    pub first_seq: Seq,
    /// What the batch's row says is its last record.
    pub last_seq: Seq,
    /// How it shows.
    pub what: Tampering,
}

/// How a log shows that it was altered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Tampering {
    /// Records are missing or doubled.
    #[error("record {expected} should come first")]
    Gap {
        /// The number that should have followed.
        expected: Seq,
    },
    /// The batch does not follow the one before it.
    #[error("it names another batch before it")]
    Previous,
    /// The batch is not what its hash says.
    #[error("its hash does not match its content")]
    Hash,
    /// The hash is right, but the payload is no list of records: a faulty writer.
    #[error("its payload is not a list of records")]
    Payload,
    /// The hash is right, but the payload holds another number of records: a faulty writer.
    #[error("it holds {held} records")]
    Count {
        /// How many it holds.
        held: u64,
    },
}

/// What a batch's hash covers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link<'p> {
    pub(crate) previous: ChainHead,
    pub(crate) first_seq: Seq,
    pub(crate) last_seq: Seq,
    pub(crate) epoch: WriterEpoch,
    pub(crate) payload: &'p [u8],
}

impl Link<'_> {
    pub(crate) fn hash(&self) -> ChainHead {
        let mut hasher = blake3::Hasher::new();
        hasher.update(DOMAIN).update(&self.previous.0.0);
        for number in [self.first_seq.0, self.last_seq.0, self.epoch.0] {
            hasher.update(&number.to_be_bytes());
        }
        hasher.update(self.payload);
        ChainHead(Digest(*hasher.finalize().as_bytes()))
    }
}

/// The batch of `link` and `hash`, if it is the one that follows `at`.
pub(crate) fn follow(
    at: Committed,
    link: Link<'_>,
    hash: ChainHead,
) -> Result<StoredBatch, Tampered> {
    let Link {
        first_seq,
        last_seq,
        ..
    } = link;
    checked(at, link, hash).map_err(|what| Tampered {
        first_seq,
        last_seq,
        what,
    })
}

fn checked(at: Committed, link: Link<'_>, hash: ChainHead) -> Result<StoredBatch, Tampering> {
    let expected = at.last_seq.next();
    if link.first_seq != expected {
        return Err(Tampering::Gap { expected });
    }
    if link.previous != at.head {
        return Err(Tampering::Previous);
    }
    if link.hash() != hash {
        return Err(Tampering::Hash);
    }
    let records = decode_payload(link.payload, link.first_seq).ok_or(Tampering::Payload)?;
    let held = records.len() as u64;
    if link.last_seq.since(at.last_seq) != held {
        return Err(Tampering::Count { held });
    }
    let committed = Committed {
        last_seq: link.last_seq,
        head: hash,
    };
    Ok(StoredBatch {
        epoch: link.epoch,
        first_seq: link.first_seq,
        committed,
        records,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: Link<'static> = Link {
        previous: ChainHead(Digest([7; 32])),
        first_seq: Seq(5),
        last_seq: Seq(5),
        epoch: WriterEpoch(2),
        payload: &[0x80],
    };

    #[test]
    fn the_hash_covers_every_field() {
        let others = [
            Link {
                previous: ChainHead::default(),
                ..LINK
            },
            Link {
                first_seq: Seq(4),
                ..LINK
            },
            Link {
                last_seq: Seq(6),
                ..LINK
            },
            Link {
                epoch: WriterEpoch(3),
                ..LINK
            },
            Link {
                payload: &[0x81],
                ..LINK
            },
        ];
        assert!(others.iter().all(|other| other.hash() != LINK.hash()));
    }

    #[test]
    fn a_batch_that_claims_more_records_than_it_holds_is_refused() {
        let at = Committed {
            last_seq: Seq(4),
            head: LINK.previous,
        };
        let refused = follow(at, LINK, LINK.hash()).map_err(|tampered| tampered.what);
        assert_eq!(refused, Err(Tampering::Count { held: 0 }));
    }
}
