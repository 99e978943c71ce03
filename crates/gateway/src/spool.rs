//! The spool: reservations, bills and posts that must survive a crash, in `SQLite`.
//!
//! One thread owns the file. It takes whatever notes are waiting, writes them in one transaction
//! and syncs once (group commit). Notes are applied in the order they were sent, so what a note
//! rests on is durable whenever the note is.
//!
//! When the file cannot be written, the thread keeps the notes, opens the file anew once a second
//! and goes on with them in their order. Until then nothing new starts: reservations fail, and
//! [`Spool::is_sound`] says no. What is not new waits.
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
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

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

/// The spool cannot be written: what was noted is not durable, and nothing new may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the gateway's spool cannot be written: see its log and make room on its disk")]
pub(crate) struct Broken;

/// Whether the file can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    Sound,
    Faulty,
}

/// Where notes are handed in. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Spool {
    notes: mpsc::UnboundedSender<Job>,
    health: watch::Receiver<Health>,
}

/// A note, and who waits for it to be durable.
#[derive(Debug)]
pub(crate) struct Job {
    note: Note,
    done: oneshot::Sender<()>,
}

/// Tells when a note is durable.
#[derive(Debug)]
pub(crate) struct Receipt {
    done: oneshot::Receiver<()>,
    health: watch::Receiver<Health>,
}

impl Receipt {
    /// Waits until the note is durable, through faults as well.
    pub(crate) async fn durable(self) -> Result<(), Broken> {
        self.done.await.map_err(|_| Broken)
    }

    /// Waits until the note is durable, or the file cannot be written.
    pub(crate) async fn durable_or_not(mut self) -> Result<(), Broken> {
        tokio::select! {
            biased;
            done = self.done => done.map_err(|_| Broken),
            _ = self.health.wait_for(|health| *health == Health::Faulty) => Err(Broken),
        }
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
        let (report, health) = watch::channel(Health::Sound);
        let writer = writer::Writer::new(path.clone(), database, report).map_err(failed)?;
        let thread = thread::Builder::new()
            .name("spool".to_owned())
            .spawn(move || writer.run(jobs))
            .map_err(OpenError::Thread)?;
        Ok((Self { notes, health }, recovered, thread))
    }

    /// Hands in a note.
    pub(crate) fn note(&self, note: Note) -> Receipt {
        let (done, receipt) = oneshot::channel();
        // A thread that is gone drops the job, and with it `done`: the receipt then says so.
        drop(self.notes.send(Job { note, done }));
        Receipt {
            done: receipt,
            health: self.health.clone(),
        }
    }

    /// Whether the file can be written, as far as is known.
    pub(crate) fn is_sound(&self) -> bool {
        self.health.has_changed().is_ok() && *self.health.borrow() == Health::Sound
    }

    /// Waits until the file has not been writable for so long, or its thread is gone.
    pub(crate) async fn given_up(&self, after: Duration) {
        let mut health = self.health.clone();
        while health.wait_for(|now| *now == Health::Faulty).await.is_ok() {
            let sound = health.wait_for(|now| *now == Health::Sound);
            if tokio::time::timeout(after, sound).await.is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests;
