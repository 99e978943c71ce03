//! Rows that lie beside the log and change in the same transaction as it.
//!
//! They are not part of the hash chain: they hold what must be erasable (a tenant's sealed data)
//! or is of no use after a day (answers to repeated requests). What matters of them for the audit
//! stands in the events, as a keyed digest.

use remuda_types::{Digest, Label, Time};

/// One change beside the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Side {
    /// Keeps an answer for whoever asks the same again. Replaces a row of the same key: the caller
    /// has looked, and found none that still holds.
    Idempotency(IdempotencyRow),
    /// Keeps sealed data, in place of what the owner had under that key.
    Sealed(SealedRow),
    /// Erases all sealed data of an owner.
    SealedErase {
        /// Whose.
        owner: [u8; 16],
    },
    /// Keeps a small value of control's own (its wrapped keys), in place of the one before.
    Meta {
        /// What it is.
        key: String,
        /// The value.
        value: Vec<u8>,
    },
    /// Erases a small value.
    MetaErase {
        /// What it is.
        key: String,
    },
}

/// The answer to a request that a client may repeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyRow {
    /// Digest of who asked and of the key that the client chose.
    pub key: Digest,
    /// Digest of the request: the same key with another request is the client's mistake.
    pub request: Digest,
    /// The answer, as bytes.
    pub response: Vec<u8>,
    /// From when the row may go.
    pub expires: Time,
}

/// Data that only a holder of its owner's key can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedRow {
    /// Whose.
    pub owner: [u8; 16],
    /// What, as the keyed digest that stands in the events.
    pub key: Label,
    /// The sealed bytes.
    pub ciphertext: Vec<u8>,
}

impl Side {
    /// Whether committing it must leave nothing of what was there before.
    pub(crate) const fn erases(&self) -> bool {
        match self {
            Self::SealedErase { .. } | Self::MetaErase { .. } => true,
            Self::Idempotency(_) | Self::Sealed(_) | Self::Meta { .. } => false,
        }
    }
}
