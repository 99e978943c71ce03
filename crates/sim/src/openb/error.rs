//! Why a trace cannot be used.

use std::path::PathBuf;

/// Why a trace's file cannot be used.
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
    #[error("{} is not of the trace", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: LineError,
    },
    /// The folder has no list of tasks.
    #[error(
        "{} has no openb_pod_list_*.csv: they are in `data/csv` of hkust-adsl/kubernetes-scheduler-simulator",
        dir.display()
    )]
    NoTasks {
        /// The folder.
        dir: PathBuf,
    },
    /// There is nothing to pack.
    #[error("{} has no GPU in it at all", path.display())]
    NoGpus {
        /// The file.
        path: PathBuf,
    },
}

/// What is wrong with a line.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// It is not CSV.
    #[error(transparent)]
    Csv(#[from] csv::Error),
    /// A column is not there.
    #[error("column `{column}` is missing: the header has {header}")]
    NoColumn {
        /// The column.
        column: &'static str,
        /// The columns that are there.
        header: String,
    },
    /// A field is wrong.
    #[error("line {line}, column `{column}`: `{value}`: {problem}")]
    Field {
        /// The line, from 1.
        line: u64,
        /// The column.
        column: &'static str,
        /// What stands there.
        value: String,
        /// What is wrong with it.
        problem: String,
    },
}
