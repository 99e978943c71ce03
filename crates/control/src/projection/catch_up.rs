//! Rows for records that the tables lack, from the journal.

use remuda_journal::{Reader, Snapshots, StoredBatch};

use super::{ProjectionError, Projector};
use crate::core::recover::{self, RecoverError, Recovered};
use crate::sequencer::Committed;

/// Records whose rows are written at once, so that a rebuild fits into memory.
const CHUNK: u64 = 1_000;

/// Why the tables cannot be brought up to date.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CatchUpError {
    #[error(transparent)]
    Recover(#[from] RecoverError),
    #[error(transparent)]
    Projections(#[from] ProjectionError),
}

/// Brings the tables up to date, replaying from the last snapshot before what they have. Tables of
/// another history than the journal's are emptied first: a journal that was restored from an older
/// copy numbers its new records as the lost ones.
pub(crate) fn catch_up(
    reader: &Reader,
    snapshots: &Snapshots,
    projector: &mut Projector,
) -> Result<(), CatchUpError> {
    if !of_this_history(reader, projector)? {
        tracing::warn!("the projections are of another history: they are built anew");
        projector.empty()?;
    }
    let end = reader.head().map_err(RecoverError::from)?;
    if projector.written() >= end.last_seq {
        return Ok(());
    }
    let mut replayed = recover::network_at(reader, Some(snapshots), projector.written())?;
    let missing = projector.written().next();
    for batch in reader.batches(missing).map_err(RecoverError::from)? {
        let batch = batch.map_err(RecoverError::from)?;
        add(projector, &mut replayed, &batch)?;
        if replayed.seq.since(projector.written()) >= CHUNK {
            projector.write(batch.committed.head);
        }
    }
    projector.write(end.head);
    Ok(())
}

fn of_this_history(reader: &Reader, projector: &Projector) -> Result<bool, RecoverError> {
    Ok(reader.head_at(projector.written())? == Some(projector.head()))
}

fn add(
    projector: &mut Projector,
    replayed: &mut Recovered,
    batch: &StoredBatch,
) -> Result<(), RecoverError> {
    let start = replayed.seq;
    for record in batch.records.iter().filter(|record| record.seq > start) {
        let record = Committed::read(record)?;
        projector.prepare(replayed.network.state(), &record);
        replayed
            .network
            .commit(record.at, record.command, &record.events);
        replayed.seq = record.seq;
    }
    Ok(())
}
