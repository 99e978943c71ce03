//! What FGD's authors got on the same trace, to hold our own run of their policies against.

use std::path::Path;

use crate::file::{self, ReadError};
use crate::table::{self, LineError, Row};

/// The file's name.
const FILE: &str = "fgd_published_alloc.csv";
const COLUMNS: &str = "trace, policy, gpu_alloc_pct_at100 and gpu_alloc_pct_at130";

/// The share of GPUs allocated, in percent, by one policy on one list of tasks.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    /// The list of tasks' file, without its ending.
    pub trace: String,
    /// The policy, with a number before it: `06-FGD`.
    pub policy: String,
    /// When as much has arrived as there is.
    pub at100: f64,
    /// When 130 % has arrived.
    pub at130: f64,
}

/// The published figures, if the folder has them.
pub fn published(dir: &Path) -> Result<Vec<Published>, ReadError> {
    let path = dir.join(FILE);
    let is_there = path.try_exists();
    if !is_there.map_err(|source| ReadError::io(&path, source))? {
        return Ok(Vec::new());
    }
    file::read(&path, COLUMNS, |bytes| table::rows(bytes, row))
}

fn row(row: &Row<'_>) -> Result<Published, LineError> {
    let percent = |column| row.number(column, 0.0..=100.0);
    Ok(Published {
        trace: row.text("trace")?.to_owned(),
        policy: row.text("policy")?.to_owned(),
        at100: percent("gpu_alloc_pct_at100")?,
        at130: percent("gpu_alloc_pct_at130")?,
    })
}

impl Published {
    /// Whether it is FGD's on this variant.
    pub fn is_fgd_on(&self, variant: &str) -> bool {
        let trace = self.trace.strip_prefix(super::TASKS);
        trace == Some(variant) && self.policy.ends_with("FGD")
    }
}
