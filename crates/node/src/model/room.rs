//! Room in the store: models that nothing runs make way for one that is wanted.
//!
//! A fetch claims its whole room before it begins. The claim is a number of bytes in the file that the
//! fetch holds locked, so every daemon that shares the store sees it, and it ends with the fetch,
//! however that ends.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nix::sys::statvfs::statvfs;
use remuda_types::Digest;

use super::{Error, file_error};

/// Held while a claim is made, so that one of two sees the other's.
const TURN: &str = "room.lock";

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

/// Claims room for the model of `bytes` at `path`, of which `here` are written, beside what other
/// fetches have yet to write. The claim holds for as long as the fetch's `lock` is held.
pub(super) fn claim(path: &Path, lock: &File, bytes: u64, here: u64) -> Result<(), Error> {
    let folder = path.parent().unwrap_or(path);
    let failed = file_error(folder);
    let turn = File::create(folder.join(TURN)).map_err(&failed)?;
    turn.lock().map_err(&failed)?;
    // On a full disk the claim itself has room only when something made way.
    make(folder, bytes.saturating_sub(here), others(path))?;
    write_claim(lock, bytes).map_err(&failed)
}

fn write_claim(lock: &File, bytes: u64) -> io::Result<()> {
    lock.set_len(0)?;
    lock.write_all_at(bytes.to_string().as_bytes(), 0)
}

/// Bytes that all fetches but that of `path` have claimed and not yet written.
fn others(path: &Path) -> u64 {
    let locks = of_models(path.parent().unwrap_or(path), "lock");
    locks
        .filter(|lock| *lock != path.with_extension("lock"))
        .filter_map(|lock| unwritten(&lock))
        .fold(0, u64::saturating_add)
}

/// Nothing when no fetch holds the lock, or it is done.
fn unwritten(lock: &Path) -> Option<u64> {
    let fetching = File::open(lock).ok()?.try_lock_shared().is_err();
    let claimed: u64 = fs::read_to_string(lock).ok()?.parse().ok()?;
    let here = lock.with_extension("part").metadata().ok()?.len();
    fetching.then(|| claimed.saturating_sub(here))
}

/// Sees to it that `needed` bytes fit beside those that are `promised`, by removing models that nobody
/// holds, the longest unused first.
fn make(folder: &Path, needed: u64, promised: u64) -> Result<(), Error> {
    for path in oldest_first(folder) {
        if check(folder, needed, promised).is_ok() {
            break;
        }
        match remove_unheld(&path) {
            Ok(true) => tracing::info!(path = %path.display(), "an unused model made way"),
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, path = %path.display(), "a model stays"),
        }
    }
    check(folder, needed, promised)
}

fn remove_unheld(path: &Path) -> io::Result<bool> {
    let file = File::open(path)?;
    if file.try_lock().is_err() {
        return Ok(false);
    }
    fs::remove_file(path).map(|()| true)
}

fn oldest_first(folder: &Path) -> Vec<PathBuf> {
    let mut models: Vec<_> = of_models(folder, "gguf")
        .filter_map(|path| Some((path.metadata().ok()?.modified().ok()?, path)))
        .collect();
    models.sort();
    models.into_iter().map(|(_, path)| path).collect()
}

/// The store's files with this extension; files of other names in its folder are not its own.
fn of_models(folder: &Path, extension: &str) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(move |path| {
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        path.extension().is_some_and(|found| found == extension)
            && stem.is_some_and(|stem| stem.parse::<Digest>().is_ok())
    })
}

fn check(folder: &Path, needed: u64, promised: u64) -> Result<(), Error> {
    let free = free_bytes(folder).map(|free| free.saturating_sub(promised));
    match free {
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

        make(folder.path(), 0, 0).unwrap();
        assert!(unused.exists(), "there was room");
        let refused = make(folder.path(), u64::MAX / 2, 0);
        assert!(
            matches!(refused, Err(Error::DiskFull { .. })),
            "{refused:?}"
        );
        assert!(!unused.exists());
        assert!(held.path().exists() && foreign.exists());

        drop(held);
        assert!(make(folder.path(), u64::MAX / 2, 0).is_err());
        assert!(Held::take(&running).unwrap().is_none());
    }

    #[test]
    fn what_a_fetch_has_yet_to_write_is_no_room_for_another() {
        let folder = tempfile::tempdir().unwrap();
        let fetch = |name: &[u8]| {
            let path = folder.path().join(format!("{}.gguf", Digest::of(name)));
            let lock = File::create(path.with_extension("lock")).unwrap();
            lock.lock().unwrap();
            fs::write(path.with_extension("part"), "").unwrap();
            (path, lock)
        };
        let most = free_bytes(folder.path()).unwrap() - 2 * MARGIN_BYTES;
        let bytes = most / 3 * 2;
        let ((first, lock), (second, its_lock)) = (fetch(b"first"), fetch(b"second"));
        claim(&first, &lock, bytes, 0).unwrap();
        claim(&first, &lock, bytes, 0).unwrap();
        let refused = claim(&second, &its_lock, bytes, 0);
        assert!(
            matches!(refused, Err(Error::DiskFull { .. })),
            "{refused:?}"
        );
        assert_eq!(others(&first), 0, "what was refused claims nothing");
        assert_eq!(others(&second), bytes);
        fs::write(first.with_extension("part"), "weights").unwrap();
        assert_eq!(others(&second), bytes - 7);
        drop(lock);
        assert_eq!(others(&second), 0);
        claim(&second, &its_lock, bytes, 0).unwrap();
    }
}
