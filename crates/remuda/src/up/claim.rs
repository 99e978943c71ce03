//! One `remuda up` on a state folder: a file that is locked while it runs and holds its number.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::unistd::Pid;

use super::layout::{Layout, unusable};
use crate::error::Failure;
use crate::exit::Exit;

/// Held until it is dropped; the kernel gives it up when the process ends in any way.
#[derive(Debug)]
pub(super) struct Claim {
    _file: File,
}

impl Claim {
    /// Takes the folder for this process.
    pub(super) fn take(layout: &Layout) -> Result<Self, Failure> {
        let path = layout.claim();
        let mut file = open(&path)?;
        if !lock(&path, &file)? {
            return Err(taken(layout, holder(&mut file)));
        }
        let written = file
            .set_len(0)
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        written.map_err(|error| unusable(&path, error))?;
        Ok(Self { _file: file })
    }
}

/// Who holds the folder, if anybody does.
pub(super) fn held_by(layout: &Layout) -> Result<Option<Pid>, Failure> {
    let path = layout.claim();
    if !path.exists() {
        return Ok(None);
    }
    let mut file = open(&path)?;
    if lock(&path, &file)? {
        return Ok(None);
    }
    Ok(holder(&mut file))
}

fn open(path: &Path) -> Result<File, Failure> {
    let mut options = OpenOptions::new();
    let file = options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path);
    file.map_err(|error| unusable(path, error))
}

fn lock(path: &Path, file: &File) -> Result<bool, Failure> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(unusable(path, error)),
    }
}

fn holder(file: &mut File) -> Option<Pid> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok().map(Pid::from_raw)
}

fn taken(layout: &Layout, holder: Option<Pid>) -> Failure {
    let folder = layout.root().display();
    let who = holder.map_or_else(String::new, |pid| format!(" (process {pid})"));
    let message = format!("a network runs on {folder} already{who}");
    Failure::new(
        Exit::Refused,
        message,
        "use it, stop it with `remuda down`, or start another with --state-dir and --port-base",
    )
}
