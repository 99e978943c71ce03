//! SQL tables built from the journal for reports: statements, usage, the event feed.
//!
//! They can be thrown away: a start builds what is missing from the records after the newest that
//! is in them. No decision reads them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use remuda_journal::Seq;
use remuda_network::State;
use rusqlite::Connection;

use crate::sequencer::Committed;

mod rows;
mod schema;
pub mod statement;

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
    connection: Connection,
    prepared: Vec<Row>,
    through: Seq,
    written: Seq,
}

/// Reads rows, from any thread. Calls block; async callers use a blocking thread.
#[derive(Clone, Debug)]
pub struct Projections {
    connection: Arc<Mutex<Connection>>,
}

/// Opens both ends on one file, making it where there is none.
pub fn open(path: &Path) -> Result<(Projector, Projections), ProjectionError> {
    let failed = |source| ProjectionError {
        path: path.to_owned(),
        source,
    };
    let writer = schema::open(path).map_err(failed)?;
    let reader = schema::open(path).map_err(failed)?;
    let written = schema::written(&writer).map_err(failed)?;
    let projector = Projector {
        connection: writer,
        prepared: Vec::new(),
        through: written,
        written,
    };
    Ok((
        projector,
        Projections {
            connection: Arc::new(Mutex::new(reader)),
        },
    ))
}

impl Projector {
    /// The newest record that is in the tables.
    pub fn written(&self) -> Seq {
        self.written
    }

    /// Makes the rows of records that are about to be applied to `before`.
    pub fn prepare(&mut self, before: &State, committed: &[Committed]) {
        let through = self.through;
        for record in committed.iter().filter(|record| record.seq > through) {
            self.prepared.extend(rows::of(before, record));
            self.through = record.seq;
        }
    }

    /// Writes the prepared rows. What fails is kept and written with the next batch.
    pub fn write(&mut self) {
        if let Err(error) = self.try_write() {
            tracing::warn!(%error, "the projections are behind");
        }
    }

    fn try_write(&mut self) -> Result<(), rusqlite::Error> {
        let transaction = self.connection.transaction()?;
        for row in &self.prepared {
            row.insert(&transaction)?;
        }
        schema::set_written(&transaction, self.through)?;
        transaction.commit()?;
        self.prepared.clear();
        self.written = self.through;
        Ok(())
    }
}

impl Projections {
    /// Runs a query.
    pub(crate) fn query<T>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, rusqlite::Error>,
    ) -> Result<T, rusqlite::Error> {
        query(
            &self
                .connection
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }
}
