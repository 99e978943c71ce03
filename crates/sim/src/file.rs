//! Files from outside: read whole, unpacked if they are gzipped, and refused with the file's name.

use std::fs;
use std::path::{Path, PathBuf};

use crate::table::{self, LineError};

/// What some programs write before everything else.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

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
    /// It is not a file whose end would ever be read.
    #[error("{} is {what}: a file is expected", path.display())]
    Irregular {
        /// What was named.
        path: PathBuf,
        /// What it is.
        what: &'static str,
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
            Self::Io { .. } | Self::Irregular { .. } => {
                "name one that is there and can be read".to_owned()
            }
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
    let bytes = bytes(path)?;
    parse(&bytes).map_err(|source| ReadError::Line {
        path: path.to_owned(),
        source,
        columns,
    })
}

/// A file's content, unpacked if it is gzipped.
pub fn bytes(path: &Path) -> Result<Vec<u8>, ReadError> {
    regular(path)?;
    let unread = |source| ReadError::io(path, source);
    table::unpacked(fs::read(path).map_err(unread)?).map_err(unread)
}

/// Refuses what is no file: a pipe that nobody writes to would be waited for without end.
pub fn regular(path: &Path) -> Result<(), ReadError> {
    let kind = fs::metadata(path).map_err(|source| ReadError::io(path, source))?;
    let what = if kind.is_file() {
        return Ok(());
    } else if kind.is_dir() {
        "a folder"
    } else {
        "a pipe or a device"
    };
    let path = path.to_owned();
    Err(ReadError::Irregular { path, what })
}

/// What follows the mark that some programs write before everything else.
pub(crate) fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes)
}
