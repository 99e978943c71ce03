//! Why a file of cities, or of round trips between them, cannot be used.

use std::path::PathBuf;

use crate::table::LineError;

/// Why a file of cities, or of round trips between them, cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Io {
        /// The file.
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
    },
    /// There is nothing to draw from.
    #[error("{} has {problem}", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// What is missing.
        problem: &'static str,
    },
}
