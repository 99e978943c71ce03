//! What outlives the daemon: the newest assignment, control's terms, and what ran.

use std::io;
use std::path::{Path, PathBuf};

use minicbor::{Decode, Encode};
use remuda_types::{LeaseId, Time};
use remuda_wire::node::{Assignment, Exit, Welcome};
use remuda_wire::spec::ReplicaSpec;

use crate::files;
use crate::identity::StateDir;

/// What control said last. It holds tenants' environments, so its file is the daemon's alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Told {
    /// The newest assignment.
    #[n(0)]
    pub assignment: Option<Assignment>,
    /// The terms of the last session.
    #[n(1)]
    pub terms: Option<Welcome>,
}

/// One replica, as the next daemon finds it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Record {
    /// Its lease.
    #[n(0)]
    pub lease: LeaseId,
    /// The lease's epoch.
    #[n(1)]
    pub lease_epoch: u64,
    /// What it is made of.
    #[n(2)]
    pub spec: ReplicaSpec,
    /// When its lease ends.
    #[n(3)]
    pub hard_end: Time,
    /// Restarts in a row.
    #[n(4)]
    pub restarts: u32,
    /// Since when it is in its state.
    #[n(5)]
    pub since: Time,
    /// How it ended; none while it lives.
    #[n(6)]
    pub exit: Option<Exit>,
}

/// The two files.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    told: PathBuf,
    replicas: PathBuf,
}

/// Why what was kept cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read {}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file is not what this daemon writes.
    #[error(
        "{} is not what this version writes ({detail}): remove it, control will say again what is to run",
        .path.display()
    )]
    Malformed {
        /// Which.
        path: PathBuf,
        /// Where it went wrong.
        detail: String,
    },
}

impl Store {
    /// The files of a state folder.
    pub(crate) fn of(state: &StateDir) -> Self {
        Self {
            told: state.assignment_file(),
            replicas: state.replicas_file(),
        }
    }

    /// What control said last.
    pub(crate) fn told(&self) -> Result<Told, Error> {
        Ok(load(&self.told)?.unwrap_or_default())
    }

    /// What ran.
    pub(crate) fn replicas(&self) -> Result<Vec<Record>, Error> {
        Ok(load(&self.replicas)?.unwrap_or_default())
    }

    /// Keeps what control said.
    pub(crate) fn keep_told(&self, told: &Told) -> io::Result<()> {
        keep(&self.told, told)
    }

    /// Keeps what runs.
    pub(crate) fn keep_replicas(&self, records: &[Record]) -> io::Result<()> {
        keep(&self.replicas, &records)
    }
}

fn load<T: for<'b> Decode<'b, ()>>(path: &Path) -> Result<Option<T>, Error> {
    let read = files::read(path).map_err(|source| Error::File {
        path: path.to_owned(),
        source,
    })?;
    let decoded = read.map(|content| minicbor::decode(&content)).transpose();
    decoded.map_err(|error| Error::Malformed {
        path: path.to_owned(),
        detail: error.to_string(),
    })
}

fn keep<T: Encode<()>>(path: &Path, content: &T) -> io::Result<()> {
    let encoded = minicbor::to_vec(content).map_err(|error| io::Error::other(error.to_string()))?;
    files::replace(path, &encoded)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use remuda_wire::node::AssignmentStamp;

    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::open(folder.path()).unwrap();
        (folder, Store::of(&state))
    }

    #[test]
    fn what_was_said_is_read_back() {
        let (_folder, store) = store();
        assert_eq!(store.told().unwrap(), Told::default());
        let stamp = AssignmentStamp {
            epoch: 3,
            generation: 9,
        };
        let told = Told {
            assignment: Some(Assignment {
                stamp,
                replicas: Vec::new(),
            }),
            terms: Some(Welcome {
                clock: Time::from_millis(5),
                report_interval_ms: 1_000,
                processes_allowed: true,
                grant_key: [7; 32],
            }),
        };
        store.keep_told(&told).unwrap();
        assert_eq!(store.told().unwrap(), told);
    }

    proptest! {
        #[test]
        fn any_bytes_are_records_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let told = minicbor::decode::<Told>(&bytes);
            let records = minicbor::decode::<Vec<Record>>(&bytes);
            // Nothing but total parsers are claimed: both answered.
            prop_assert!(told.is_ok() || told.is_err());
            prop_assert!(records.is_ok() || records.is_err());
        }
    }
}
