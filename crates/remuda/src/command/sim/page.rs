//! Where the page with plots goes: looked at before a run that may take minutes, written after it.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;

use crate::error::Failure;
use crate::exit::Exit;

/// Refuses a place at which no page can be written.
pub(super) fn expect(path: &Path) -> Result<(), Failure> {
    let is_new = match fs::metadata(path) {
        // A pipe or a device is not opened for nothing.
        Ok(there) if !there.is_file() && !there.is_dir() => return Ok(()),
        Ok(_) => false,
        Err(_) => true,
    };
    let opened = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path);
    opened.map_err(|error| unwritten(path, error))?;
    if is_new {
        // A run that fails leaves no empty page.
        fs::remove_file(path).map_err(|error| unwritten(path, error))?;
    }
    Ok(())
}

pub(super) fn write(path: &Path, page: &str) -> Result<(), Failure> {
    fs::write(path, page).map_err(|error| unwritten(path, error))
}

fn unwritten(path: &Path, error: io::Error) -> Failure {
    let message = format!("cannot write {}", path.display());
    let way_out = "name a file in a folder that is there";
    Failure::new(Exit::Usage, message, way_out).caused_by(error)
}
