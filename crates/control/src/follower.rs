//! The follower: a second state that every read sees, behind the sequencer's by microseconds.
//!
//! Input: what the sequencer made durable, in order. Output: the state for readers, the newest
//! sequence number for waiters, rows for the projections, snapshots. The sequencer never waits for
//! a reader or a snapshot.
//!
//! A record's number is published while the state is held for writing, so nobody sees the one
//! without the other. Rows follow a moment later, and have a number of their own.

use std::sync::mpsc::Receiver;
use std::sync::{Arc, PoisonError, RwLock};

use remuda_journal::{ChainHead, Seq};
use remuda_network::Network;
use tokio::sync::watch;

use crate::core::recover::Recovered;
use crate::projection::Projector;
use crate::sequencer::{Committed, Publication};

mod cutter;
#[cfg(test)]
mod tests;

pub(crate) use cutter::Cutter;

/// What readers see.
#[derive(Debug)]
pub struct Follower {
    network: RwLock<Network>,
    seq: watch::Sender<Seq>,
    projected: watch::Sender<Seq>,
    writable: watch::Sender<Result<(), Arc<str>>>,
}

impl Follower {
    pub(crate) fn new(recovered: Recovered) -> Self {
        Self {
            network: RwLock::new(recovered.network),
            seq: watch::Sender::new(recovered.seq),
            projected: watch::Sender::new(recovered.seq),
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

    /// The newest record whose rows are in the projections, and how to wait for the next.
    pub fn projected(&self) -> watch::Receiver<Seq> {
        self.projected.subscribe()
    }

    /// Whether control can write, and if not, why.
    pub fn writable(&self) -> Result<(), Arc<str>> {
        self.writable.borrow().clone()
    }

    /// Waiters are woken by the last record of a group only.
    fn apply(&self, record: &Committed, is_last: bool) {
        let mut network = self.network.write().unwrap_or_else(PoisonError::into_inner);
        network.commit(record.at, record.command, &record.events);
        self.seq.send_if_modified(|seq| {
            *seq = record.seq;
            is_last
        });
    }
}

/// The thread that feeds the follower.
pub(crate) struct Feed {
    pub(crate) follower: Arc<Follower>,
    pub(crate) projector: Projector,
    pub(crate) cutter: Cutter,
}

impl Feed {
    /// Runs until the sequencer is gone; cuts a last snapshot, so that the next start is quick.
    pub(crate) fn run(mut self, publications: &Receiver<Publication>) {
        while let Ok(publication) = publications.recv() {
            match publication {
                Publication::Committed { records, head } => self.committed(&records, head),
                Publication::Writable(writable) => {
                    drop(self.follower.writable.send_replace(writable));
                }
            }
        }
        let Self {
            follower, cutter, ..
        } = self;
        let seq = *follower.seq.borrow();
        follower.read(|network| cutter.last(seq, network.state()));
    }

    pub(crate) fn committed(&mut self, records: &[Committed], head: ChainHead) {
        let Some(newest) = records.last().map(|record| record.seq) else {
            return;
        };
        for record in records {
            // Rows name parties that the record may remove, so they are made before it is applied.
            self.follower
                .read(|network| self.projector.prepare(network.state(), record));
            self.follower.apply(record, record.seq == newest);
            self.follower.read(|network| {
                self.cutter
                    .examine_batch(record.seq, network.state(), &record.events);
            });
        }
        self.projector.write(head);
        self.follower.projected.send_replace(newest);
        if self.cutter.is_due(newest) {
            let state = self.follower.read(|network| network.state().clone());
            self.cutter.cut(newest, state);
        }
    }
}
