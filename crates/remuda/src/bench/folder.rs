//! A folder of one run's own.

use std::fs;
use std::io;
use std::path::Path;

use tempfile::TempDir;

use crate::error::Failure;
use crate::exit::Exit;

/// A new folder in `parent`, which `flag` names; gone when it is dropped.
pub(super) fn make(parent: &Path, flag: &str) -> Result<TempDir, Failure> {
    made(parent).map_err(|error| {
        let message = format!("cannot make a folder in {}", parent.display());
        let way_out = format!("name a folder you may write with {flag}");
        Failure::new(Exit::Usage, message, way_out).caused_by(error)
    })
}

fn made(parent: &Path) -> io::Result<TempDir> {
    fs::create_dir_all(parent)?;
    tempfile::Builder::new().prefix("bench-").tempdir_in(parent)
}
