//! Reading the log in order, batch by batch, each checked against the chain.

use rusqlite::{OptionalExtension, Row};

use super::integer;
use super::reader::Reader;
use crate::chain::{ChainHead, Link, WriterEpoch, follow};
use crate::fault::ReadError;
use crate::record::{Committed, Seq, StoredBatch};

/// A place in the log that moves on with every batch read.
///
/// No transaction stays open between two batches, so a slow reader does not hold up the writer.
/// At the end it gives `None`; asked again later, it goes on with what was appended meanwhile.
#[derive(Debug)]
pub struct Batches<'r> {
    reader: &'r Reader,
    at: Committed,
}

impl<'r> Batches<'r> {
    /// Starts with the batch that holds `from`.
    pub(crate) fn starting(reader: &'r Reader, from: Seq) -> Result<Self, ReadError> {
        let at = before(reader, from)?;
        Ok(Self { reader, at })
    }

    /// How far has been read.
    pub fn at(&self) -> Committed {
        self.at
    }

    fn advance(&mut self) -> Result<Option<StoredBatch>, ReadError> {
        let batch = after(self.reader, self.at)?;
        self.at = batch.as_ref().map_or(self.at, |batch| batch.committed);
        Ok(batch)
    }
}

impl Iterator for Batches<'_> {
    type Item = Result<StoredBatch, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance().transpose()
    }
}

/// The end of the batch before the one that holds `from`.
fn before(reader: &Reader, from: Seq) -> Result<Committed, ReadError> {
    let found = reader
        .conn
        .prepare_cached(
            "SELECT last_seq, hash FROM batch WHERE last_seq < ?1 ORDER BY last_seq DESC LIMIT 1",
        )?
        .query_row([integer(from.0)], |row| {
            Ok(Committed {
                last_seq: seq(row, 0)?,
                head: head(row, 1)?,
            })
        })
        .optional()?;
    Ok(found.unwrap_or_default())
}

/// The batch that follows `at`.
pub(crate) fn after(reader: &Reader, at: Committed) -> Result<Option<StoredBatch>, ReadError> {
    let mut statement = reader.conn.prepare_cached(
        "SELECT first_seq, last_seq, writer_epoch, previous, hash, payload FROM batch
         WHERE last_seq > ?1 ORDER BY last_seq LIMIT 1",
    )?;
    let mut rows = statement.query([integer(at.last_seq.0)])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    Ok(Some(follow(at, link(row)?, head(row, 4)?)?))
}

fn link<'row>(row: &'row Row<'_>) -> rusqlite::Result<Link<'row>> {
    Ok(Link {
        first_seq: seq(row, 0)?,
        last_seq: seq(row, 1)?,
        epoch: WriterEpoch(row.get::<_, i64>(2)?.unsigned_abs()),
        previous: head(row, 3)?,
        payload: row.get_ref(5)?.as_blob().map_err(rusqlite::Error::from)?,
    })
}

fn seq(row: &Row<'_>, column: usize) -> rusqlite::Result<Seq> {
    row.get(column)
        .map(|number: i64| Seq(number.unsigned_abs()))
}

pub(crate) fn head(row: &Row<'_>, column: usize) -> rusqlite::Result<ChainHead> {
    row.get(column)
        .map(|hash| ChainHead(remuda_types::Digest(hash)))
}
