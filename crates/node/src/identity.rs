//! The state folder: one daemon's key, its lock, and where its other files lie.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use remuda_link::SecretKey;
use remuda_types::NodeKey;

use crate::files;

/// A state folder that this daemon holds alone, until it is dropped.
#[derive(Debug)]
pub(crate) struct StateDir {
    root: PathBuf,
    _lock: File,
}

/// Why a state folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another daemon holds it.
    #[error(
        "another node daemon runs on {}: stop it, or give this one a state folder of its own",
        .0.display()
    )]
    Taken(PathBuf),
    /// Sockets in it would have longer names than the system allows.
    #[error(
        "the path {} is too long for sockets in it: choose one of at most {SOCKET_ROOM} bytes",
        .0.display()
    )]
    TooLong(PathBuf),
    /// The key file does not hold a key.
    #[error("{} does not hold a key of 32 bytes: restore it, or remove it to become a new node", .0.display())]
    NoKey(PathBuf),
    /// A file cannot be used.
    #[error("cannot use {}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// A unix socket's path has at most 107 bytes; ours are `run/` and a counter below the folder.
const SOCKET_ROOM: usize = 85;

impl StateDir {
    /// Opens the folder, making it if need be.
    pub(crate) fn open(root: &Path) -> Result<Self, Error> {
        let root = std::path::absolute(root).map_err(at(root))?;
        if root.as_os_str().len() > SOCKET_ROOM {
            return Err(Error::TooLong(root));
        }
        make_folder(&root)?;
        let lock = lock(&root)?;
        for folder in ["run", "work"] {
            clear(&root.join(folder))?;
        }
        for folder in ["logs", "run", "work"] {
            make_folder(&root.join(folder))?;
        }
        Ok(Self { root, _lock: lock })
    }

    /// The node's key, made at the first start.
    pub(crate) fn key(&self) -> Result<SecretKey, Error> {
        let path = self.root.join("node.key");
        if let Some(secret) = files::read(&path).map_err(at(&path))? {
            let secret = <[u8; 32]>::try_from(secret).map_err(|_| Error::NoKey(path))?;
            return Ok(SecretKey::from_bytes(&secret));
        }
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|error| Error::File {
            path: path.clone(),
            source: io::Error::other(error.to_string()),
        })?;
        files::replace(&path, &secret).map_err(at(&path))?;
        Ok(SecretKey::from_bytes(&secret))
    }

    /// The newest assignment and control's terms.
    pub(crate) fn assignment_file(&self) -> PathBuf {
        self.root.join("assignment.cbor")
    }

    /// What runs here.
    pub(crate) fn replicas_file(&self) -> PathBuf {
        self.root.join("replicas.cbor")
    }

    /// Retained logs.
    pub(crate) fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// Sockets of engines.
    pub(crate) fn sockets(&self) -> PathBuf {
        self.root.join("run")
    }

    /// Working folders of plain processes.
    pub(crate) fn work(&self) -> PathBuf {
        self.root.join("work")
    }
}

/// The node that a key names.
pub(crate) fn node_key(key: &SecretKey) -> NodeKey {
    NodeKey(*key.public().as_bytes())
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> Error + use<> {
    let path = path.to_owned();
    |source| Error::File { path, source }
}

fn make_folder(path: &Path) -> Result<(), Error> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(at(path))
}

/// Removes what the replicas of an earlier daemon left.
fn clear(folder: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(folder)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn lock(root: &Path) -> Result<File, Error> {
    let path = root.join("node.lock");
    let mut options = fs::OpenOptions::new();
    let file = options
        .create(true)
        .append(true)
        .open(&path)
        .map_err(at(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Taken(root.to_owned())),
        Err(TryLockError::Error(source)) => Err(Error::File { path, source }),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_kept_private() {
        let folder = tempfile::tempdir().unwrap();
        let first = StateDir::open(folder.path()).unwrap().key().unwrap();
        let state = StateDir::open(folder.path()).unwrap();
        assert_eq!(state.key().unwrap().to_bytes(), first.to_bytes());
        let mode = fs::metadata(folder.path().join("node.key"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::write(folder.path().join("node.key"), b"short").unwrap();
        assert!(matches!(state.key(), Err(Error::NoKey(_))));
    }

    #[test]
    fn a_folder_has_one_daemon() {
        let folder = tempfile::tempdir().unwrap();
        let held = StateDir::open(folder.path()).unwrap();
        assert!(matches!(
            StateDir::open(folder.path()),
            Err(Error::Taken(_))
        ));
        drop(held);
        assert!(StateDir::open(folder.path()).is_ok());
        let long = folder.path().join("x".repeat(SOCKET_ROOM));
        assert!(matches!(StateDir::open(&long), Err(Error::TooLong(_))));
    }
}
