//! What goes wrong in opening and reading, and how the storage engine's errors are told apart.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use crate::chain::Tampered;

/// What the file system or the storage engine said, for the log; its text holds no record's
/// content.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Cause(Box<dyn std::error::Error + Send + Sync>);

impl From<rusqlite::Error> for Cause {
    fn from(error: rusqlite::Error) -> Self {
        Self(Box::new(error))
    }
}

impl From<io::Error> for Cause {
    fn from(error: io::Error) -> Self {
        Self(Box::new(error))
    }
}

/// Why a journal cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process writes to it.
    #[error("another control has {} open: stop it first, or take over to fence it", .dir.display())]
    AlreadyOpen {
        /// The journal's folder.
        dir: PathBuf,
    },
    /// There is nothing to read.
    #[error("there is no {}", .path.display())]
    Absent {
        /// Where it would be.
        path: PathBuf,
    },
    /// The file is something else.
    #[error("{} is not a journal: choose another data folder", .path.display())]
    NotAJournal {
        /// The file.
        path: PathBuf,
    },
    /// A later release wrote it, or, for a reader, an earlier one that no writer has brought up
    /// to date yet.
    #[error(
        "the journal has schema {found}, this program knows {known}: use the release that wrote it, or one after it"
    )]
    Schema {
        /// What the file says.
        found: i64,
        /// The newest that this program knows.
        known: i64,
    },
    /// The newest batch, or what holds it, is damaged.
    #[error("the journal is damaged at its end: verify it, then restore it from a copy")]
    Corrupt(#[source] ReadError),
    /// No space to open it for writing.
    #[error("no space left in {}: free some", .dir.display())]
    Full {
        /// The journal's folder.
        dir: PathBuf,
    },
    /// Anything else that the file system or the engine refuses.
    #[error("the journal in {} cannot be opened", .dir.display())]
    Io {
        /// The journal's folder.
        dir: PathBuf,
        /// What was said.
        #[source]
        cause: Cause,
    },
}

/// Why a journal cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A batch is not what was committed.
    #[error(transparent)]
    Tampered(#[from] Tampered),
    /// The file's own structure is damaged.
    #[error("the journal's file is damaged: restore it from a copy")]
    Corrupt(#[source] Cause),
    /// The file cannot be read now; nothing is known about its content.
    #[error("the journal cannot be read")]
    Io(#[source] Cause),
}

impl From<rusqlite::Error> for ReadError {
    fn from(error: rusqlite::Error) -> Self {
        match kind(&error) {
            Kind::Corrupt => Self::Corrupt(error.into()),
            Kind::Full | Kind::Device | Kind::Other => Self::Io(error.into()),
        }
    }
}

/// What an engine's error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// No space.
    Full,
    /// The file holds what it cannot hold.
    Corrupt,
    /// A system call failed; a quota is one of the reasons.
    Device,
    /// A lock that another program holds, memory, a mistake of ours.
    Other,
}

pub(crate) fn kind(error: &rusqlite::Error) -> Kind {
    use rusqlite::Error as E;
    if let E::FromSqlConversionFailure(..)
    | E::IntegralValueOutOfRange(..)
    | E::InvalidColumnType(..)
    | E::Utf8Error(..) = error
    {
        return Kind::Corrupt;
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Kind::Full,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Kind::Corrupt,
        Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) => Kind::Device,
        _ => Kind::Other,
    }
}

/// Whether an IO error is about space.
pub(crate) fn no_space(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// Whether `dir` has no room for `bytes` more. SQLite reports a reached quota as a failure of the
/// device and keeps the reason to itself, so this asks the file system again.
pub(crate) fn is_full(dir: &Path, bytes: usize) -> bool {
    let path = dir.join("space.probe");
    let written = fs::write(&path, vec![0; bytes]);
    // What remains of a probe is overwritten by the next one.
    let removed = fs::remove_file(&path);
    drop(removed);
    written.is_err_and(|error| no_space(&error))
}
