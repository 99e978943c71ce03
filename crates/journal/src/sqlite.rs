//! The journal in one SQLite file (WAL, `synchronous=FULL`).
//!
//! **Who may write.** Two fences, each for its own danger:
//! - a lock of the operating system on `journal.lock` keeps a second control from starting in the
//!   same folder by accident ([`crate::OpenError::AlreadyOpen`]). It ends with its process;
//! - the writer epoch in the file decides, whatever locks say: opening takes the next epoch, and
//!   every append checks in its own transaction that the epoch is still its own. A takeover leaves
//!   the old lock to its holder, puts a new lock file in its place, and so is the one writer; the
//!   old one's next append is [`crate::AppendError::Fenced`].
//!
//! Never open `journal.db` as a plain file inside a process that has it open as a journal: closing
//! it would drop SQLite's own locks.

mod batches;
mod lock;
mod reader;
mod schema;
mod sides;
mod writer;

pub use batches::Batches;
pub use lock::Claim;
pub use reader::{Reader, Stats};
pub use writer::Journal;

/// The journal's file in its folder.
pub(crate) const FILE: &str = "journal.db";

/// A number as SQLite keeps it. Sequence numbers and epochs never come near the limit; an instant
/// beyond it is as good as the limit.
pub(crate) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
