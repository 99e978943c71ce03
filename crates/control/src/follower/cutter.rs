//! Snapshots, cut beside the follower: it clones the state and goes on. A state that is cloned anyway
//! is held to the network's invariants, too.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use remuda_journal::{Seq, Snapshot, SnapshotError, Snapshots};
use remuda_network::{Event, State, invariant};

use crate::core::recover::SNAPSHOT_FORMAT;
use crate::metrics::Metrics;

/// Cuts a snapshot every so many records, one at a time.
pub(crate) struct Cutter {
    snapshots: Arc<Mutex<Snapshots>>,
    every: u64,
    /// The record of the newest that was begun.
    at: Seq,
    running: Option<JoinHandle<()>>,
    metrics: Metrics,
}

/// Why none was cut.
#[derive(Debug, thiserror::Error)]
enum CutError {
    #[error("the state cannot be encoded")]
    Encode(#[from] minicbor::encode::Error<std::convert::Infallible>),
    #[error(transparent)]
    Save(#[from] SnapshotError),
}

impl Cutter {
    /// `at` is the record from which to count.
    pub(crate) fn new(snapshots: Snapshots, every: u64, at: Seq, metrics: Metrics) -> Self {
        Self {
            snapshots: Arc::new(Mutex::new(snapshots)),
            every,
            at,
            running: None,
            metrics,
        }
    }

    /// Whether one should be cut at `newest`, and none is being cut.
    pub(crate) fn is_due(&self, newest: Seq) -> bool {
        newest.since(self.at) >= self.every
            && self.running.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Cuts one on a thread of its own.
    pub(crate) fn cut(&mut self, seq: Seq, state: State) {
        self.at = seq;
        let snapshots = Arc::clone(&self.snapshots);
        let metrics = self.metrics.clone();
        self.running = Some(thread::spawn(move || {
            save(&snapshots, seq, &state);
            examine(&metrics, seq, &state);
        }));
    }

    /// Waits for the one that is being cut, then cuts the last.
    pub(crate) fn last(self, seq: Seq, state: &State) {
        if let Some(running) = self.running
            && running.join().is_err()
        {
            tracing::error!("a snapshot's thread panicked");
        }
        if seq != self.at {
            save(&self.snapshots, seq, state);
        }
    }
}

impl Cutter {
    /// Holds what a record did, in the state that it left, to the network's invariants.
    pub(crate) fn examine_batch(&self, seq: Seq, state: &State, events: &[Event]) {
        if let Err(violation) = invariant::check_batch(state, events) {
            self.metrics.violated();
            tracing::error!(%violation, seq = seq.0, "a command breaks an invariant");
        }
    }
}

/// Whoever is told of a violation has found a bug; nothing else is done, for what would be right to do
/// is not known.
fn examine(metrics: &Metrics, seq: Seq, state: &State) {
    let found = invariant::check_state(state);
    metrics.examined(found.is_ok());
    if let Err(violation) = found {
        tracing::error!(%violation, seq = seq.0, "the network breaks an invariant");
    }
}

/// What fails costs nothing but time at the next start: the journal has everything.
fn save(snapshots: &Mutex<Snapshots>, seq: Seq, state: &State) {
    let snapshots = snapshots.lock().unwrap_or_else(PoisonError::into_inner);
    if let Err(error) = try_save(&snapshots, seq, state) {
        tracing::warn!(%error, "no snapshot was cut");
    }
}

fn try_save(snapshots: &Snapshots, seq: Seq, state: &State) -> Result<(), CutError> {
    let snapshot = Snapshot {
        seq,
        format: SNAPSHOT_FORMAT,
        state: minicbor::to_vec(state)?,
    };
    Ok(snapshots.save(&snapshot)?)
}

#[cfg(test)]
mod tests {
    use remuda_journal::{Batch, Claim, Journal, RecordDraft};
    use remuda_types::{CommandId, Time};

    use super::*;

    #[test]
    fn one_is_cut_at_a_time_every_so_many_records() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(dir.path(), Claim::Alone).unwrap();
        let record = |number| RecordDraft {
            at: Time::from_millis(1),
            command: CommandId::from_u128(number),
            body: Vec::new(),
        };
        let batch = Batch {
            first_seq: Seq::FIRST,
            records: (0..20).map(record).collect(),
            sides: Vec::new(),
        };
        journal.append(&batch).unwrap();
        let snapshots = || Snapshots::open(dir.path()).unwrap();
        let newest = || {
            snapshots()
                .latest(SNAPSHOT_FORMAT)
                .unwrap()
                .snapshot
                .unwrap()
        };
        let mut cutter = Cutter::new(snapshots(), 5, Seq::NONE, Metrics::default());
        assert!(!cutter.is_due(Seq(4)) && cutter.is_due(Seq(5)));

        let shared = Arc::clone(&cutter.snapshots);
        let slow_disk = shared.lock().unwrap();
        cutter.cut(Seq(5), State::default());
        assert!(!cutter.is_due(Seq(20)), "one is being cut");
        drop(slow_disk);
        while !cutter.is_due(Seq(10)) {
            thread::yield_now();
        }
        assert_eq!(newest().seq, Seq(5));
        cutter.last(Seq(20), &State::default());
        assert_eq!(newest().seq, Seq(20));
    }
}
