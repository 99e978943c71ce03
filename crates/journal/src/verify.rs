//! The audit of a journal, for which nothing but its file is needed.

use crate::fault::ReadError;
use crate::record::{Committed, Seq};
use crate::sqlite::Reader;

/// What an audit has found to be whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// How many records.
    pub records: u64,
    /// How many batches.
    pub batches: u64,
    /// How far the journal is committed; compare the head with one that checkers have co-signed.
    pub committed: Committed,
}

/// Recomputes the chain from the batch that holds `from` to the end. What lies before it is taken
/// as it is; [`Seq::FIRST`] trusts nothing.
pub fn verify(reader: &Reader, from: Seq) -> Result<Verified, ReadError> {
    let mut batches = reader.batches(from)?;
    let mut verified = Verified {
        records: 0,
        batches: 0,
        committed: batches.at(),
    };
    while let Some(batch) = batches.next().transpose()? {
        verified.records += batch.records.len() as u64;
        verified.batches += 1;
        verified.committed = batch.committed;
    }
    Ok(verified)
}
