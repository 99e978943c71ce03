//! What FGD's authors got on the same trace, to hold our own run of their policies against.

use std::path::Path;

use crate::file::ReadError;

/// The file's name.
const FILE: &str = "fgd_published_alloc.csv";

/// The share of GPUs allocated, in percent, by one policy on one list of tasks.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct Published {
    /// The list of tasks' file, without its ending.
    pub trace: String,
    /// The policy, with a number before it: `06-FGD`.
    pub policy: String,
    /// When as much has arrived as there is.
    #[serde(rename = "gpu_alloc_pct_at100")]
    pub at100: f64,
    /// When 130 % has arrived.
    #[serde(rename = "gpu_alloc_pct_at130")]
    pub at130: f64,
}

/// The published figures, if the folder has them.
pub fn published(dir: &Path) -> Result<Vec<Published>, ReadError> {
    let path = dir.join(FILE);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let mut reader = csv::Reader::from_path(&path).map_err(|source| line(&path, source))?;
    let rows = reader.deserialize().collect::<Result<Vec<Published>, _>>();
    rows.map_err(|source| line(&path, source))
}

impl Published {
    /// Whether it is FGD's on this variant.
    pub fn is_fgd_on(&self, variant: &str) -> bool {
        let trace = self.trace.strip_prefix(super::TASKS);
        trace == Some(variant) && self.policy.ends_with("FGD")
    }
}

fn line(path: &Path, source: csv::Error) -> ReadError {
    ReadError::Line {
        path: path.to_owned(),
        source: source.into(),
    }
}
