//! The lock that keeps a second control out of the same folder.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;

const FILE: &str = "journal.lock";
const NEW_FILE: &str = "journal.lock.new";

/// How a writer claims a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Only if nobody else has it open on this machine.
    Alone,
    /// In any case; a writer that has it open is fenced.
    TakeOver,
}

/// Holds the lock until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// The lock of `dir`, or `None` where another holds it and `claim` respects that.
    pub(crate) fn take(dir: &Path, claim: Claim) -> io::Result<Option<Self>> {
        match (Self::free(dir)?, claim) {
            (Some(lock), _) => Ok(Some(lock)),
            (None, Claim::Alone) => Ok(None),
            (None, Claim::TakeOver) => Self::replace(dir).map(Some),
        }
    }

    fn free(dir: &Path) -> io::Result<Option<Self>> {
        let file = create(&dir.join(FILE))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Puts a locked file where the held one is, so that a third control meets this lock.
    fn replace(dir: &Path) -> io::Result<Self> {
        let file = create(&dir.join(NEW_FILE))?;
        file.lock()?;
        fs::rename(dir.join(NEW_FILE), dir.join(FILE))?;
        Ok(Self { _file: file })
    }
}

fn create(path: &Path) -> io::Result<File> {
    File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_takeover_leaves_the_folder_locked_for_a_third() {
        let dir = tempfile::tempdir().unwrap();
        let take = |claim| Lock::take(dir.path(), claim).unwrap();
        let first = take(Claim::Alone).unwrap();
        assert!(take(Claim::Alone).is_none());
        let second = take(Claim::TakeOver).unwrap();
        drop(first);
        assert!(take(Claim::Alone).is_none());
        drop(second);
        assert!(take(Claim::Alone).is_some());
    }
}
