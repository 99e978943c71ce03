//! Room in the store: models that nothing runs make way for one that is wanted.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nix::sys::statvfs::statvfs;
use remuda_types::Digest;

use super::Error;

/// Left free on the disk.
const MARGIN_BYTES: u64 = 64 << 20;

/// A model's file that stays for as long as this is held.
#[derive(Debug)]
pub(crate) struct Held {
    path: PathBuf,
    /// Locked, and so not removed: by this daemon or another with the same store.
    _file: File,
}

impl Held {
    /// Holds the file at `path`; nothing if it was removed meanwhile.
    pub(super) fn take(path: &Path) -> io::Result<Option<Self>> {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        file.lock_shared()?;
        if !path.exists() {
            return Ok(None);
        }
        // Who was used last is removed last. A store that may only be read keeps its order.
        drop(file.set_modified(SystemTime::now()));
        let path = path.to_owned();
        Ok(Some(Self { path, _file: file }))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Sees to it that `needed` bytes fit, by removing models that nobody holds, the longest unused first.
pub(super) fn make(folder: &Path, needed: u64) -> Result<(), Error> {
    for path in oldest_first(folder) {
        if check(folder, needed).is_ok() {
            break;
        }
        match remove_unheld(&path) {
            Ok(true) => tracing::info!(path = %path.display(), "an unused model made way"),
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, path = %path.display(), "a model stays"),
        }
    }
    check(folder, needed)
}

fn remove_unheld(path: &Path) -> io::Result<bool> {
    let file = File::open(path)?;
    if file.try_lock().is_err() {
        return Ok(false);
    }
    fs::remove_file(path).map(|()| true)
}

/// The store's models; files of other names in its folder are not its own.
fn oldest_first(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut models: Vec<_> = entries
        .filter(|entry| is_model(&entry.path()))
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    models.sort();
    models.into_iter().map(|(_, path)| path).collect()
}

fn is_model(path: &Path) -> bool {
    let stem = path.file_stem().and_then(|stem| stem.to_str());
    path.extension()
        .is_some_and(|extension| extension == "gguf")
        && stem.is_some_and(|stem| stem.parse::<Digest>().is_ok())
}

fn check(folder: &Path, needed: u64) -> Result<(), Error> {
    match free_bytes(folder) {
        Some(free) if free < needed.saturating_add(MARGIN_BYTES) => {
            Err(lacking(folder, needed, free))
        }
        Some(_) | None => Ok(()),
    }
}

/// There is not enough of it.
pub(super) fn lacking(folder: &Path, needed: u64, free: u64) -> Error {
    Error::DiskFull {
        folder: folder.to_owned(),
        needed_mib: needed.div_ceil(1 << 20),
        free_mib: free >> 20,
    }
}

/// What this user may still write to the disk of `folder`; nothing where the system does not say.
pub(crate) fn free_bytes(folder: &Path) -> Option<u64> {
    let disk = statvfs(folder).ok()?;
    Some(disk.blocks_available().saturating_mul(disk.fragment_size()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_and_what_is_not_the_stores_stays() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: String| {
            let path = folder.path().join(name);
            fs::write(&path, "weights").unwrap();
            path
        };
        let unused = file(format!("{}.gguf", Digest::of(b"unused")));
        let running = file(format!("{}.gguf", Digest::of(b"running")));
        let foreign = file("smollm2-135m.gguf".to_owned());
        let held = Held::take(&running).unwrap().unwrap();

        make(folder.path(), 0).unwrap();
        assert!(unused.exists(), "there was room");
        let refused = make(folder.path(), u64::MAX / 2);
        assert!(
            matches!(refused, Err(Error::DiskFull { .. })),
            "{refused:?}"
        );
        assert!(!unused.exists());
        assert!(held.path().exists() && foreign.exists());

        drop(held);
        assert!(make(folder.path(), u64::MAX / 2).is_err());
        assert!(Held::take(&running).unwrap().is_none());
    }
}
