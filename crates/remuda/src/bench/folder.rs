//! A folder of one run's own.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::Failure;
use crate::exit::Exit;

/// Gone when it is dropped.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn make(parent: &Path) -> Result<Self, Failure> {
        let path = parent.join(format!("bench-{}", std::process::id()));
        fs::create_dir_all(&path)
            .map(|()| Self(path.clone()))
            .map_err(|error| {
                let message = format!("cannot make {}", path.display());
                Failure::new(
                    Exit::Usage,
                    message,
                    "name a folder you may write with --dir",
                )
                .caused_by(error)
            })
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(folder = %self.0.display(), %error, "the folder is left behind");
        }
    }
}
