//! Appending, as its caller sees it.

use std::path::PathBuf;

use crate::chain::WriterEpoch;
use crate::fault::{Cause, OpenError, ReadError};
use crate::record::{Batch, Committed, Seq};

/// The most bytes that the records of one batch may take, encoded: 64 MiB.
pub const MAX_BATCH_BYTES: usize = 64 << 20;

/// What control needs of whatever keeps its journal.
pub trait Append {
    /// Commits `batch`, durably, or nothing of it.
    fn append(&mut self, batch: &Batch) -> Result<Committed, AppendError>;

    /// How far the journal is committed.
    fn head(&self) -> Committed;
}

/// Why a batch was not committed. Nothing of it is visible, to anybody.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// No space is left. The journal is sound and can be read; appending works again as soon as
    /// there is space.
    #[error("no space left in {}: free some, then append again", .dir.display())]
    Full {
        /// The journal's folder.
        dir: PathBuf,
    },
    /// The device or the engine failed. The writer refuses every further batch until the journal
    /// is opened again, which reads from the disk how far it is.
    #[error("the journal cannot be written: open it again")]
    Io(#[source] Cause),
    /// Another writer has opened the journal; this one is over.
    #[error("writer {ours} is fenced: writer {current} has taken over")]
    Fenced {
        /// This writer's epoch.
        ours: WriterEpoch,
        /// The epoch of the writer in charge.
        current: WriterEpoch,
    },
    /// The journal's file is damaged. The writer refuses every further batch.
    #[error("the journal is damaged: verify it, then restore it from a copy")]
    Corrupt(#[source] ReadError),
    /// An earlier append failed with [`AppendError::Io`] or [`AppendError::Corrupt`].
    #[error("the journal stopped after an earlier failure: open it again")]
    Stopped,
    /// The batch does not begin where the journal ends.
    #[error("the batch begins with record {given}, the journal goes on with {expected}")]
    OutOfOrder {
        /// The number of the next record.
        expected: Seq,
        /// The number that the batch gave.
        given: Seq,
    },
    /// The batch is above the limit.
    #[error("a batch of {bytes} bytes is over the limit of {limit}: make it smaller")]
    TooLarge {
        /// The size of its payload.
        bytes: usize,
        /// [`MAX_BATCH_BYTES`].
        limit: usize,
    },
}

/// Why a writer could not open its journal again.
#[derive(Debug, thiserror::Error)]
pub enum ReopenError {
    /// Another writer has opened the journal meanwhile; this one is over.
    #[error("writer {ours} is fenced: writer {current} has taken over")]
    Fenced {
        /// This writer's epoch.
        ours: WriterEpoch,
        /// The epoch of the writer in charge.
        current: WriterEpoch,
    },
    /// The file cannot be opened now.
    #[error(transparent)]
    Open(#[from] OpenError),
}
