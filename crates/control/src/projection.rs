//! SQL tables built from the journal for reports: statements, usage, the event feed.
//!
//! They can be thrown away: a start builds what is missing from the records after the newest that
//! is in them, and all of them where they are not of the journal's own history. No decision reads
//! them.

use std::path::{Path, PathBuf};

use remuda_journal::{ChainHead, Seq};
use remuda_network::State;
use rusqlite::Connection;

use crate::sequencer::Committed;

pub(crate) mod catch_up;
mod readers;
mod rows;
mod schema;
pub mod statement;

use readers::Readers;
use rows::Row;

/// Why projections cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[error("the projections cannot be used: remove {} and start again, they are rebuilt", .path.display())]
pub struct ProjectionError {
    /// Their file.
    pub path: PathBuf,
    /// What the engine said.
    #[source]
    pub source: rusqlite::Error,
}

/// Writes rows; the follower's thread owns it.
#[derive(Debug)]
pub struct Projector {
    path: PathBuf,
    connection: Connection,
    prepared: Vec<Row>,
    through: Seq,
    written: Seq,
    head: ChainHead,
}

/// Reads rows, from any thread. Calls block; async callers use a blocking thread.
#[derive(Clone, Debug)]
pub struct Projections {
    readers: Readers,
}

/// Opens both ends on one file, making it where there is none.
pub fn open(path: &Path) -> Result<(Projector, Projections), ProjectionError> {
    try_open(path).map_err(|source| failed(path, source))
}

fn try_open(path: &Path) -> Result<(Projector, Projections), rusqlite::Error> {
    let connection = schema::open(path)?;
    let readers = Readers::open(path)?;
    let (written, head) = schema::written(&connection)?;
    let projector = Projector {
        path: path.to_owned(),
        connection,
        prepared: Vec::new(),
        through: written,
        written,
        head,
    };
    Ok((projector, Projections { readers }))
}

fn failed(path: &Path, source: rusqlite::Error) -> ProjectionError {
    let path = path.to_owned();
    ProjectionError { path, source }
}

impl Projector {
    /// The newest record that is in the tables.
    pub fn written(&self) -> Seq {
        self.written
    }

    /// The chain's head at [`Projector::written`].
    pub fn head(&self) -> ChainHead {
        self.head
    }

    /// Throws all rows away.
    pub fn empty(&mut self) -> Result<(), ProjectionError> {
        schema::empty(&mut self.connection).map_err(|source| failed(&self.path, source))?;
        self.prepared.clear();
        (self.through, self.written) = (Seq::NONE, Seq::NONE);
        self.head = ChainHead::default();
        Ok(())
    }

    /// Makes the rows of the record that is about to be applied to `before`.
    pub fn prepare(&mut self, before: &State, record: &Committed) {
        if record.seq > self.through {
            self.prepared.extend(rows::of(before, record));
            self.through = record.seq;
        }
    }

    /// Writes the prepared rows; `head` is the chain's after them. What fails is kept and written
    /// with the next.
    pub fn write(&mut self, head: ChainHead) {
        if let Err(error) = self.try_write(head) {
            tracing::warn!(%error, "the projections are behind");
        }
    }

    fn try_write(&mut self, head: ChainHead) -> Result<(), rusqlite::Error> {
        let transaction = self.connection.transaction()?;
        for row in &self.prepared {
            row.insert(&transaction)?;
        }
        schema::set_written(&transaction, self.through, head)?;
        transaction.commit()?;
        self.prepared.clear();
        (self.written, self.head) = (self.through, head);
        Ok(())
    }
}

impl Projections {
    /// Runs a query.
    pub(crate) fn query<T>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, rusqlite::Error>,
    ) -> Result<T, rusqlite::Error> {
        self.readers.with(query)
    }
}
