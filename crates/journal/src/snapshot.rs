//! Snapshots: states from which a replay starts, so that it need not start at the first record.
//!
//! Each is a plain file in `snapshots/`, written beside, synced and renamed: a disk that fills up
//! meanwhile costs the snapshot and never touches the journal's file (a state may also be larger
//! than SQLite keeps in a row). A file names the chain head at its record, so that a snapshot of
//! another journal, or of a history that was since restored away, is not taken for one of ours.
//! Its digest finds damage; whoever distrusts the operator replays from the first record.
//!
//! Nothing is lost with a snapshot: where none is sound, the replay is longer.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::durable::{make_dir, sync_dir};
use crate::fault::{Cause, OpenError, ReadError, no_space};
use crate::record::Seq;
use crate::sqlite::Reader;

mod header;

use header::{HEADER_BYTES, Header};

/// How many snapshots are kept: the newest, and one to fall back to.
pub const SNAPSHOTS_KEPT: usize = 2;

const FOLDER: &str = "snapshots";
const EXTENSION: &str = "snapshot";
const DRAFT_EXTENSION: &str = "draft";

/// A state as it was when record `seq`, and no later one, had been applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The last record that is in the state.
    pub seq: Seq,
    /// The state's own format, numbered by whoever encodes it.
    pub format: u32,
    /// The encoded state.
    pub state: Vec<u8>,
}

/// The best snapshot there is, and what was better but unfit.
#[derive(Debug, Default)]
pub struct Latest {
    /// The newest sound one; without it the replay starts at [`Seq::FIRST`].
    pub snapshot: Option<Snapshot>,
    /// Newer ones that cannot be used, for the log.
    pub passed_over: Vec<PassedOver>,
}

/// A snapshot that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the snapshot {} is passed over", .path.display())]
pub struct PassedOver {
    /// Its file.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub why: Unfit,
}

/// Why a snapshot cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// The file cannot be read.
    #[error("it cannot be read")]
    Unreadable(#[source] io::Error),
    /// The file is not what was written.
    #[error("it is damaged")]
    Damaged,
    /// It belongs to another journal, or to records that this one does not hold.
    #[error("it is not of this journal's history")]
    OtherHistory,
    /// Another release wrote it.
    #[error("its format is {found}")]
    Format {
        /// The format it has.
        found: u32,
    },
}

/// Why a snapshot was not saved, or none could be looked for.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// No space is left; what was there before still is.
    #[error("no space left for a snapshot in {}: free some", .dir.display())]
    Full {
        /// The snapshots' folder.
        dir: PathBuf,
    },
    /// The file system failed; what was there before still is.
    #[error("the snapshots in {} cannot be read or written", .dir.display())]
    Io {
        /// The snapshots' folder.
        dir: PathBuf,
        /// What was said.
        #[source]
        cause: Cause,
    },
    /// The journal holds no such record.
    #[error("there is no record {seq} to take a snapshot at")]
    Ahead {
        /// The snapshot's record.
        seq: Seq,
    },
    /// The journal cannot be asked.
    #[error(transparent)]
    Journal(#[from] ReadError),
}

/// The snapshots of one journal. Any thread may have its own; one at a time should save.
#[derive(Debug)]
pub struct Snapshots {
    dir: PathBuf,
    journal: Reader,
}

impl Snapshots {
    /// The snapshots of the journal in `dir`, which must exist.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        Ok(Self {
            dir: dir.join(FOLDER),
            journal: Reader::open(dir)?,
        })
    }

    /// Keeps `snapshot`, durably, and removes those before the last [`SNAPSHOTS_KEPT`].
    pub fn save(&self, snapshot: &Snapshot) -> Result<(), SnapshotError> {
        let seq = snapshot.seq;
        let head = self
            .journal
            .head_at(seq)?
            .ok_or(SnapshotError::Ahead { seq })?;
        let header = Header::of(snapshot, head);
        self.write(&header, &snapshot.state)
            .map_err(|error| self.failed(error))?;
        self.prune()
    }

    /// The newest sound snapshot whose state has `format`.
    pub fn latest(&self, format: u32) -> Result<Latest, SnapshotError> {
        self.latest_until(Seq(u64::MAX), format)
    }

    /// The newest sound snapshot whose state has `format` and no record after `seq`.
    pub fn latest_until(&self, seq: Seq, format: u32) -> Result<Latest, SnapshotError> {
        let mut latest = Latest::default();
        let last = self.path(seq, EXTENSION);
        for path in self
            .newest_first()?
            .into_iter()
            .filter(|path| *path <= last)
        {
            match self.load(&path, format)? {
                Ok(snapshot) => {
                    latest.snapshot = Some(snapshot);
                    break;
                }
                Err(why) => latest.passed_over.push(PassedOver { path, why }),
            }
        }
        Ok(latest)
    }

    fn write(&self, header: &Header, state: &[u8]) -> io::Result<()> {
        make_dir(&self.dir)?;
        // What a crash or a full disk has left of an earlier save takes up space.
        files(&self.dir, DRAFT_EXTENSION)?
            .iter()
            .try_for_each(fs::remove_file)?;
        let draft = self.path(header.seq, DRAFT_EXTENSION);
        let written = write_synced(&draft, header, state)
            .and_then(|()| fs::rename(&draft, self.path(header.seq, EXTENSION)))
            .and_then(|()| sync_dir(&self.dir));
        if written.is_err() {
            // Where it cannot be removed now, the next save does it.
            drop(fs::remove_file(&draft));
        }
        written
    }

    fn path(&self, seq: Seq, extension: &str) -> PathBuf {
        self.dir.join(format!("{:020}.{extension}", seq.0))
    }

    fn newest_first(&self) -> Result<Vec<PathBuf>, SnapshotError> {
        let mut paths = match files(&self.dir, EXTENSION) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            listed => listed.map_err(|error| self.failed(error))?,
        };
        paths.sort_unstable_by(|a, b| b.cmp(a));
        Ok(paths)
    }

    /// Reads a snapshot. What is wrong with the file is the inner error, what is wrong with the
    /// journal the outer one.
    fn load(&self, path: &Path, format: u32) -> Result<Result<Snapshot, Unfit>, ReadError> {
        let mut file = match open(path) {
            Ok(file) => file,
            Err(why) => return Ok(Err(why)),
        };
        let fit = self.fit(&file.header)?;
        if !fit {
            return Ok(Err(Unfit::OtherHistory));
        }
        Ok(file.snapshot(format))
    }

    fn fit(&self, header: &Header) -> Result<bool, ReadError> {
        Ok(self.journal.head_at(header.seq)? == Some(header.head))
    }

    /// Removes what lies before the newest of this history. Those of another are left for a
    /// person to look at, unless they are older.
    fn prune(&self) -> Result<(), SnapshotError> {
        let mut fit = 0;
        for path in self.newest_first()? {
            if fit >= SNAPSHOTS_KEPT {
                fs::remove_file(&path).map_err(|error| self.failed(error))?;
            } else if let Ok(file) = open(&path) {
                fit += usize::from(self.fit(&file.header)?);
            }
        }
        Ok(())
    }

    fn failed(&self, error: io::Error) -> SnapshotError {
        let dir = self.dir.clone();
        if no_space(&error) {
            return SnapshotError::Full { dir };
        }
        SnapshotError::Io {
            dir,
            cause: error.into(),
        }
    }
}

/// A snapshot's file, read up to its state.
struct Opened {
    file: File,
    header: Header,
}

impl Opened {
    fn snapshot(&mut self, format: u32) -> Result<Snapshot, Unfit> {
        let found = self.header.format;
        if found != format {
            return Err(Unfit::Format { found });
        }
        let mut state = Vec::new();
        self.file
            .read_to_end(&mut state)
            .map_err(Unfit::Unreadable)?;
        if self.header.digest_with(&state) != self.header.digest {
            return Err(Unfit::Damaged);
        }
        Ok(Snapshot {
            seq: self.header.seq,
            format,
            state,
        })
    }
}

fn open(path: &Path) -> Result<Opened, Unfit> {
    let mut bytes = [0; HEADER_BYTES];
    let mut file = File::open(path).map_err(Unfit::Unreadable)?;
    match file.read_exact(&mut bytes) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(Unfit::Damaged),
        read => read.map_err(Unfit::Unreadable)?,
    }
    let header = Header::decode(&bytes).ok_or(Unfit::Damaged)?;
    Ok(Opened { file, header })
}

fn files(dir: &Path, extension: &str) -> io::Result<Vec<PathBuf>> {
    let mut paths = fs::read_dir(dir)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<Vec<_>>>()?;
    paths.retain(|path| path.extension() == Some(OsStr::new(extension)));
    Ok(paths)
}

fn write_synced(path: &Path, header: &Header, state: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(&header.encode())?;
    file.write_all(state)?;
    file.sync_all()
}
