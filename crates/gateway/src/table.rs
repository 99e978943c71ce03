//! Control's latest route table, indexed, and kept on disk so that a restart does not need control.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use remuda_routing::KeyRing;
use remuda_routing::admission::keys;
use remuda_types::{LeaseId, NodeKey, ProjectId};
use remuda_wire::gateway::{KeyEntry, ModelRoute, ReplicaRoute, RouteState, RouteTable};

use crate::files::{self, FileError};

const FILE: &str = "routes.cbor";

/// The table that is in force.
#[derive(Debug)]
pub(crate) struct Table {
    view: ArcSwap<View>,
    path: PathBuf,
    /// Held while writing, so that what is on disk at the end is the newest.
    saving: Mutex<()>,
}

/// A table and its indexes; never changed once made.
#[derive(Debug, Default)]
pub(crate) struct View {
    pub(crate) routes: RouteTable,
    pub(crate) keys: KeyRing,
    by_name: BTreeMap<(ProjectId, String), usize>,
    by_lease: BTreeMap<LeaseId, (usize, usize)>,
}

impl Table {
    /// The table that was in force when the gateway ended, or an empty one.
    pub(crate) fn open(state_dir: &Path) -> Result<Self, FileError> {
        let path = state_dir.join(FILE);
        let routes = files::read(&path)?.and_then(|bytes| match minicbor::decode(&bytes) {
            Ok(routes) => Some(routes),
            Err(error) => {
                tracing::warn!(%error, "the saved route table cannot be read; control will send another");
                None
            }
        });
        let view = View::new(routes.unwrap_or_default());
        Ok(Self {
            view: ArcSwap::from_pointee(view),
            path,
            saving: Mutex::default(),
        })
    }

    /// The table in force.
    pub(crate) fn view(&self) -> Arc<View> {
        self.view.load_full()
    }

    /// Puts a new table in force. False, and nothing changes, when it is older than the one that is:
    /// a control that has been replaced may still speak.
    pub(crate) fn replace(&self, routes: RouteTable) -> bool {
        if age(&routes) < age(&self.view().routes) {
            return false;
        }
        self.view.store(Arc::new(View::new(routes)));
        true
    }

    /// Writes the table in force to disk.
    pub(crate) fn save(&self) -> Result<(), FileError> {
        let _alone = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        // Encoding into memory has no error.
        let bytes = minicbor::to_vec(&self.view().routes).unwrap_or_default();
        files::replace(&self.path, &bytes)
    }
}

/// Tables are ordered by who made them, then by what they show.
const fn age(routes: &RouteTable) -> (u64, u64) {
    (routes.epoch, routes.seq)
}

impl View {
    fn new(routes: RouteTable) -> Self {
        let mut models: Vec<_> = routes.models.iter().enumerate().collect();
        // Of two workloads with one name the newer answers.
        models.sort_by_key(|(_, model)| model.created);
        let by_name = models
            .iter()
            .map(|(at, model)| ((model.project, model.name.clone()), *at));
        let by_lease = models.iter().flat_map(|(at, model)| {
            let replicas = model.replicas.iter().enumerate();
            replicas.map(|(place, replica)| (replica.lease, (*at, place)))
        });
        Self {
            by_name: by_name.collect(),
            by_lease: by_lease.collect(),
            keys: KeyRing::new(routes.keys.iter().map(key)),
            routes,
        }
    }

    /// A project's model.
    pub(crate) fn model(&self, project: ProjectId, name: &str) -> Option<&ModelRoute> {
        let at = self.by_name.get(&(project, name.to_owned()))?;
        self.routes.models.get(*at)
    }

    /// All models of a project, by name.
    pub(crate) fn models_of(&self, project: ProjectId) -> impl Iterator<Item = &ModelRoute> {
        let named = self
            .by_name
            .iter()
            .filter(move |((owner, _), _)| *owner == project);
        named.filter_map(|(_, at)| self.routes.models.get(*at))
    }

    /// The replica of a lease.
    pub(crate) fn replica(&self, lease: LeaseId) -> Option<&ReplicaRoute> {
        let (model, replica) = self.by_lease.get(&lease)?;
        self.routes.models.get(*model)?.replicas.get(*replica)
    }

    /// Where a node can be dialled; none when the table does not have it.
    pub(crate) fn addresses(&self, node: NodeKey) -> Option<&[SocketAddr]> {
        self.replicas()
            .find(|replica| replica.node == node)
            .map(|found| &found.addresses[..])
    }

    /// Replicas that serve.
    pub(crate) fn serving(&self) -> impl Iterator<Item = &ReplicaRoute> {
        self.replicas()
            .filter(|replica| replica.state == RouteState::Ready)
    }

    fn replicas(&self) -> impl Iterator<Item = &ReplicaRoute> {
        self.routes.models.iter().flat_map(|model| &model.replicas)
    }
}

const fn key(entry: &KeyEntry) -> keys::KeyEntry {
    keys::KeyEntry {
        digest: entry.digest,
        key: keys::Key {
            id: entry.key,
            project: entry.project,
            expires: entry.expires,
            inference: entry.inference,
            requests_per_minute: entry.requests_per_minute,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(epoch: u64, seq: u64) -> RouteTable {
        RouteTable {
            epoch,
            seq,
            ..RouteTable::default()
        }
    }

    #[test]
    fn an_older_table_is_refused_also_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let mut table = Table::open(dir.path()).unwrap();
        assert!(table.replace(numbered(3, 9)));
        table.save().unwrap();
        for _ in 0..2 {
            assert!(!table.replace(numbered(3, 8)));
            assert!(!table.replace(numbered(2, 99)));
            assert_eq!(table.view().routes.seq, 9);
            table = Table::open(dir.path()).unwrap();
        }
        assert!(table.replace(numbered(3, 9)));
        assert!(table.replace(numbered(4, 1)));
    }

    #[test]
    fn a_saved_table_is_in_force_after_a_restart_and_a_broken_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let table = Table::open(dir.path()).unwrap();
        assert!(table.replace(numbered(3, 9)));
        table.save().unwrap();
        assert_eq!(Table::open(dir.path()).unwrap().view().routes.seq, 9);
        std::fs::write(dir.path().join(FILE), b"\xff\xff").unwrap();
        assert_eq!(Table::open(dir.path()).unwrap().view().routes.seq, 0);
    }
}
