//! The spool: reservations, bills and posts that must survive a crash, in `SQLite`.
//!
//! One thread owns the file. It takes whatever notes are waiting, writes them in one transaction
//! and syncs once (group commit). Notes are applied in the order they were sent, so what a note
//! rests on is durable whenever the note is.
//!
//! Each request has one row: made at its reservation, changed at its checkpoints, given its place
//! in the order of bills at its end, and deleted when control has acknowledged the post that summed
//! it. On opening, rows that are still without a bill are those that a crash cut off: they are
//! billed what their last checkpoint says.

mod note;
mod recover;
mod row;
mod schema;
mod writer;

use std::path::{Path, PathBuf};
use std::thread;

use tokio::sync::{mpsc, oneshot};

pub(crate) use note::{Asked, Billed, Note, Posting, Reserved};
pub(crate) use recover::{Found, Recovered, Standing};

/// Why the spool cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file cannot be opened, or is not a spool.
    #[error("cannot open {}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What `SQLite` said.
        #[source]
        source: rusqlite::Error,
    },
    /// A row is not what this version writes.
    #[error("the spool {} has a row that cannot be read: it is of a newer version, or damaged", .path.display())]
    Row {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: row::Unreadable,
    },
    /// The spool's thread cannot be started.
    #[error("cannot start the spool's thread")]
    Thread(#[source] std::io::Error),
}

/// The spool can no longer be written: what was noted is not durable, and nothing new may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the gateway's spool cannot be written: see its log, make room on its disk and restart it")]
pub(crate) struct Broken;

/// Where notes are handed in. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Spool {
    notes: mpsc::UnboundedSender<Job>,
}

/// A note, and who waits for it to be durable.
#[derive(Debug)]
pub(crate) struct Job {
    note: Note,
    done: oneshot::Sender<Result<(), Broken>>,
}

/// Tells when a note is durable.
#[derive(Debug)]
pub(crate) struct Receipt(oneshot::Receiver<Result<(), Broken>>);

impl Receipt {
    pub(crate) async fn durable(self) -> Result<(), Broken> {
        self.0.await.unwrap_or(Err(Broken))
    }
}

impl Spool {
    /// Opens the spool, settles what a crash left open, and starts its thread.
    pub(crate) fn open(dir: &Path) -> Result<(Self, Recovered, thread::JoinHandle<()>), OpenError> {
        let path = dir.join("spool.db");
        let failed = |source| OpenError::File {
            path: path.clone(),
            source,
        };
        let mut database = schema::open(&path).map_err(failed)?;
        let recovered = recover::recover(&mut database).map_err(|error| match error {
            recover::Error::Database(source) => failed(source),
            recover::Error::Row(source) => OpenError::Row {
                path: path.clone(),
                source,
            },
        })?;
        let (notes, jobs) = mpsc::unbounded_channel();
        let thread = thread::Builder::new()
            .name("spool".to_owned())
            .spawn(move || writer::run(database, jobs))
            .map_err(OpenError::Thread)?;
        Ok((Self { notes }, recovered, thread))
    }

    /// Hands in a note.
    pub(crate) fn note(&self, note: Note) -> Receipt {
        let (done, receipt) = oneshot::channel();
        // A thread that is gone drops the job, and with it `done`: the receipt then says so.
        drop(self.notes.send(Job { note, done }));
        Receipt(receipt)
    }
}

#[cfg(test)]
mod tests;
