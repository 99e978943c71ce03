//! Why a trace cannot be used.

use std::path::PathBuf;

use crate::table::LineError;

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
