//! Where a network on this machine keeps what must last: one folder, and what lies where in it.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::error::Failure;
use crate::exit::Exit;

/// The folder of one network.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The folder, whether it is there or not.
    pub(crate) fn of(root: &Path) -> Result<Self, Failure> {
        let root = std::path::absolute(root).map_err(|error| unusable(root, error))?;
        Ok(Self { root })
    }

    /// The folder, made if it is not there; its user's alone.
    pub(crate) fn make(root: &Path) -> Result<Self, Failure> {
        let layout = Self::of(root)?;
        let root = layout.root();
        for folder in [root.to_owned(), root.join("keys"), root.join("logs")] {
            let made = DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&folder);
            made.map_err(|error| unusable(&folder, error))?;
        }
        Ok(layout)
    }

    /// The whole folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Control's data.
    pub(crate) fn control(&self) -> PathBuf {
        self.root.join("control")
    }

    /// A gateway's data.
    pub(crate) fn gateway(&self) -> PathBuf {
        self.root.join("gateway")
    }

    /// A node's state, by its owner's name: a new owner has a new machine.
    pub(crate) fn node(&self, owner: &str) -> PathBuf {
        self.root.join("nodes").join(owner)
    }

    /// Weights, fetched once for all nodes of this machine.
    pub(crate) fn models(&self) -> PathBuf {
        self.root.join("models")
    }

    /// Folder of the programs' logs.
    pub(crate) fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// A program's log.
    pub(crate) fn log(&self, program: &str) -> PathBuf {
        self.logs().join(format!("{program}.log"))
    }

    /// The network's policy.
    pub(crate) fn policy(&self) -> PathBuf {
        self.root.join("policy.toml")
    }

    /// An API key, by whose it is.
    pub(crate) fn key(&self, owner: &str) -> PathBuf {
        self.root.join("keys").join(format!("{owner}.key"))
    }

    /// Held by the `remuda up` that runs on this folder; its number is in it.
    pub(crate) fn claim(&self) -> PathBuf {
        self.root.join("up.pid")
    }

    /// What runs, for programs that want to look at it.
    pub(crate) fn running(&self) -> PathBuf {
        self.root.join("up.json")
    }
}

/// A file's text without its line end; `None` when there is no such file.
pub(crate) fn read(path: &Path) -> Result<Option<String>, Failure> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim_end().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unusable(path, error)),
    }
}

/// Writes a file that is its user's alone: whole, or not at all.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let draft = path.with_extension("new");
    let mut options = OpenOptions::new();
    let written = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)
        .and_then(|mut file| {
            writeln!(file, "{text}")?;
            file.sync_all()?;
            fs::rename(&draft, path)
        });
    written.map_err(|error| unusable(path, error))
}

pub(super) fn unusable(path: &Path, error: io::Error) -> Failure {
    let message = format!("cannot use {}", path.display());
    let way_out = "look at its rights and at the disk, or name another folder with --state-dir";
    Failure::new(Exit::Usage, message, way_out).caused_by(error)
}
