//! The journal: the durable, ordered, hash-chained log of everything that happened.
//!
//! One record is what one command caused. Records are committed in batches: one transaction, one
//! row and one `fsync` for up to thousands of commands, and whatever must be true together with
//! them ([`Side`] rows) in that same transaction. Every batch carries the hash of the one before
//! it, so the log is also the audit log ([`verify`]).
//!
//! - [`Journal`] is the one writer, [`Reader`] any number of readers on other threads or in other
//!   programs, [`Snapshots`] the states that make a start quick.
//! - Everything here blocks: its caller gives it a thread.
//! - The storage engine is SQLite and appears in no public type; [`Append`] is what a caller needs
//!   of a writer, so that another engine can stand behind it.
//!
//! What does not belong here: what the bytes of a record mean, clocks, and any decision.
#![forbid(unsafe_code)]

mod append;
mod chain;
mod durable;
mod fault;
mod record;
mod side;
mod snapshot;
mod sqlite;
mod verify;

pub use append::{Append, AppendError, MAX_BATCH_BYTES, ReopenError};
pub use chain::{ChainHead, Tampered, Tampering, WriterEpoch};
pub use fault::{Cause, OpenError, ReadError};
pub use record::{Batch, Committed, Record, RecordDraft, Seq, StoredBatch};
pub use side::{IdempotencyRow, SealedRow, Side};
pub use snapshot::{Latest, PassedOver, SNAPSHOTS_KEPT, Snapshot, SnapshotError, Snapshots, Unfit};
pub use sqlite::{Batches, Claim, Journal, Reader, Stats};
pub use verify::{Verified, verify};
