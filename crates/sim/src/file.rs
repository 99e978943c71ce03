//! Files from outside: read whole, unpacked if they are gzipped, and refused with the file's name.

use std::fs;
use std::path::{Path, PathBuf};

use crate::table::{self, LineError};

/// Why a file from outside cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// A line of it is wrong.
    #[error("{} cannot be used", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: LineError,
        /// The columns that are expected.
        columns: &'static str,
    },
    /// What is needed of it is not there.
    #[error("{} has {problem}", path.display())]
    Empty {
        /// The file or folder.
        path: PathBuf,
        /// What is missing.
        problem: &'static str,
        /// What to do next.
        way_out: &'static str,
    },
}

impl ReadError {
    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn empty(path: &Path, problem: &'static str, way_out: &'static str) -> Self {
        Self::Empty {
            path: path.to_owned(),
            problem,
            way_out,
        }
    }

    /// What to do next, for whoever named the file.
    pub fn way_out(&self) -> String {
        match self {
            Self::Io { .. } => "name one that is there and can be read".to_owned(),
            Self::Line { columns, .. } => format!("the columns {columns} are expected"),
            Self::Empty { way_out, .. } => (*way_out).to_owned(),
        }
    }
}

/// What `parse` makes of a file's content, which is to have `columns`.
pub(crate) fn read<T>(
    path: &Path,
    columns: &'static str,
    parse: impl FnOnce(&[u8]) -> Result<T, LineError>,
) -> Result<T, ReadError> {
    let unread = |source| ReadError::io(path, source);
    let bytes = table::unpacked(fs::read(path).map_err(unread)?).map_err(unread)?;
    parse(&bytes).map_err(|source| ReadError::Line {
        path: path.to_owned(),
        source,
        columns,
    })
}
