//! The follower: a second state that every read sees, behind the sequencer's by microseconds.
//!
//! Input: what the sequencer made durable, in order. Output: the state for readers, the newest
//! sequence number for waiters, rows for the projections, snapshots. The sequencer never waits for
//! a reader or a snapshot.

use std::sync::mpsc::Receiver;
use std::sync::{Arc, PoisonError, RwLock};

use remuda_journal::{Seq, Snapshot, Snapshots};
use remuda_network::Network;
use tokio::sync::watch;

use crate::core::recover::{Recovered, SNAPSHOT_FORMAT};
use crate::projection::Projector;
use crate::sequencer::{Committed, Publication};

/// What readers see.
#[derive(Debug)]
pub struct Follower {
    network: RwLock<Network>,
    seq: watch::Sender<Seq>,
    writable: watch::Sender<Result<(), Arc<str>>>,
}

impl Follower {
    pub(crate) fn new(recovered: Recovered) -> Self {
        Self {
            network: RwLock::new(recovered.network),
            seq: watch::Sender::new(recovered.seq),
            writable: watch::Sender::new(Ok(())),
        }
    }

    /// Reads the network.
    pub fn read<T>(&self, read: impl FnOnce(&Network) -> T) -> T {
        // A reader that panicked has changed nothing: the state is as good as before.
        read(&self.network.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The newest record that reads show, and how to wait for the next.
    pub fn changes(&self) -> watch::Receiver<Seq> {
        self.seq.subscribe()
    }

    /// Whether control can write, and if not, why.
    pub fn writable(&self) -> Result<(), Arc<str>> {
        self.writable.borrow().clone()
    }

    fn apply(&self, committed: &[Committed]) {
        let mut network = self.network.write().unwrap_or_else(PoisonError::into_inner);
        for record in committed {
            network.commit(record.at, record.command, &record.events);
        }
    }
}

/// The thread that feeds the follower.
pub(crate) struct Feed {
    pub(crate) follower: Arc<Follower>,
    pub(crate) projector: Projector,
    pub(crate) snapshots: Snapshots,
    pub(crate) snapshot_every: u64,
    pub(crate) snapshot_at: Seq,
}

impl Feed {
    /// Runs until the sequencer is gone; cuts a last snapshot, so that the next start is quick.
    pub(crate) fn run(mut self, publications: &Receiver<Publication>) {
        while let Ok(publication) = publications.recv() {
            match publication {
                Publication::Committed(committed) => self.committed(&committed),
                Publication::Writable(writable) => {
                    drop(self.follower.writable.send_replace(writable));
                }
            }
        }
        self.snapshot();
    }

    fn committed(&mut self, committed: &[Committed]) {
        let Some(newest) = committed.last().map(|record| record.seq) else {
            return;
        };
        // Rows name parties that a batch may remove, so they are made before it is applied.
        self.follower
            .read(|network| self.projector.prepare(network.state(), committed));
        self.follower.apply(committed);
        self.projector.write();
        self.follower.seq.send_replace(newest);
        if newest.since(self.snapshot_at) >= self.snapshot_every {
            self.snapshot();
        }
    }

    fn snapshot(&mut self) {
        let seq = *self.follower.seq.borrow();
        if seq == self.snapshot_at {
            return;
        }
        let state = self
            .follower
            .read(|network| minicbor::to_vec(network.state()));
        let saved = state.map_err(|error| error.to_string()).and_then(|state| {
            let snapshot = Snapshot {
                seq,
                format: SNAPSHOT_FORMAT,
                state,
            };
            self.snapshots
                .save(&snapshot)
                .map_err(|error| error.to_string())
        });
        match saved {
            Ok(()) => self.snapshot_at = seq,
            // The journal has everything; the next start is only slower.
            Err(error) => tracing::warn!(%error, "no snapshot was cut"),
        }
    }
}
