//! Reading a journal, on any thread and in any process, while its writer goes on.

use std::path::Path;
use std::time::Duration;

use remuda_types::{Digest, Label};
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::batches::{self, Batches};
use super::schema::{self, Standing};
use super::{FILE, integer, sides};
use crate::chain::{ChainHead, WriterEpoch};
use crate::fault::{Kind, OpenError, ReadError, kind};
use crate::record::{Committed, Record, Seq};
use crate::side::{IdempotencyRow, SealedRow};

/// How long a connection waits for a lock that another holds: no transaction here takes that long.
pub(crate) const LOCK_WAIT: Duration = Duration::from_secs(5);

/// A view of the committed journal. Each call sees all that was committed before it.
#[derive(Debug)]
pub struct Reader {
    pub(crate) conn: Connection,
}

/// How large a journal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// How far it is committed.
    pub committed: Committed,
    /// The epoch of the writer in charge.
    pub epoch: WriterEpoch,
    /// Answers kept for repeated requests.
    pub idempotency_rows: u64,
    /// The size of the file without its write-ahead log.
    pub file_bytes: u64,
}

impl Reader {
    /// Opens the journal in `dir` for reading only.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        let path = dir.join(FILE);
        if path.try_exists().is_ok_and(|exists| !exists) {
            return Err(OpenError::Absent { path });
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let (conn, standing) = open_file(dir, flags)?;
        match standing {
            Standing::Journal(schema::CURRENT) => Ok(Self { conn }),
            Standing::Journal(found) => Err(OpenError::Schema {
                found,
                known: schema::CURRENT,
            }),
            Standing::Empty | Standing::Foreign => Err(OpenError::NotAJournal { path }),
        }
    }

    /// At most `max_records` records, beginning with `from`.
    pub fn read(&self, from: Seq, max_records: usize) -> Result<Vec<Record>, ReadError> {
        let mut records = Vec::new();
        for batch in self.batches(from)? {
            let missing = max_records - records.len();
            let wanted = batch?
                .records
                .into_iter()
                .filter(|record| record.seq >= from);
            records.extend(wanted.take(missing));
            if records.len() == max_records {
                break;
            }
        }
        Ok(records)
    }

    /// The batches from the one that holds `from`: for a replay, and to follow a writer.
    pub fn batches(&self, from: Seq) -> Result<Batches<'_>, ReadError> {
        Batches::starting(self, from)
    }

    /// How far the journal is committed.
    pub fn head(&self) -> Result<Committed, ReadError> {
        let last: Option<i64> = self
            .conn
            .prepare_cached("SELECT max(last_seq) FROM batch")?
            .query_row([], |row| row.get(0))?;
        let last_seq = Seq(last.map_or(0, i64::unsigned_abs));
        let head = self.head_at(last_seq)?.unwrap_or_default();
        Ok(Committed { last_seq, head })
    }

    /// The hash of the batch that holds record `seq`, if that is committed. Before the first
    /// record it is that of an empty journal.
    pub fn head_at(&self, seq: Seq) -> Result<Option<ChainHead>, ReadError> {
        if seq == Seq::NONE {
            return Ok(Some(ChainHead::default()));
        }
        let found = self
            .conn
            .prepare_cached(
                "SELECT hash FROM batch WHERE last_seq >= ?1 ORDER BY last_seq LIMIT 1",
            )?
            .query_row([integer(seq.0)], |row| batches::head(row, 0))
            .optional()?;
        Ok(found)
    }

    /// The answer kept under `key`, even if it has expired.
    pub fn idempotency(&self, key: Digest) -> Result<Option<IdempotencyRow>, ReadError> {
        Ok(sides::idempotency(&self.conn, key)?)
    }

    /// What `owner` has sealed under `key`.
    pub fn sealed(&self, owner: [u8; 16], key: Label) -> Result<Option<Vec<u8>>, ReadError> {
        Ok(sides::sealed(&self.conn, owner, key)?)
    }

    /// All sealed data, by owner and key.
    pub fn sealed_all(&self) -> Result<Vec<SealedRow>, ReadError> {
        Ok(sides::sealed_all(&self.conn)?)
    }

    /// A small value of control's own.
    pub fn meta(&self, key: &str) -> Result<Option<Vec<u8>>, ReadError> {
        Ok(sides::meta(&self.conn, key)?)
    }

    /// How large the journal is.
    pub fn stats(&self) -> Result<Stats, ReadError> {
        let count = |sql| -> rusqlite::Result<u64> {
            self.conn
                .query_row(sql, [], |row| row.get(0).map(i64::unsigned_abs))
        };
        Ok(Stats {
            committed: self.head()?,
            epoch: epoch(&self.conn)?,
            idempotency_rows: count("SELECT count(*) FROM idempotency")?,
            file_bytes: count("PRAGMA page_count")? * count("PRAGMA page_size")?,
        })
    }
}

/// The epoch of the writer in charge.
pub(crate) fn epoch(conn: &Connection) -> rusqlite::Result<WriterEpoch> {
    conn.prepare_cached("SELECT epoch FROM writer WHERE one = 1")?
        .query_row([], |row| {
            row.get(0)
                .map(|epoch: i64| WriterEpoch(epoch.unsigned_abs()))
        })
}

/// Opens the file of `dir` and says what it is.
pub(crate) fn open_file(dir: &Path, flags: OpenFlags) -> Result<(Connection, Standing), OpenError> {
    let opened = Connection::open_with_flags(dir.join(FILE), flags).and_then(|conn| {
        conn.busy_timeout(LOCK_WAIT)?;
        conn.pragma_update(None, "trusted_schema", false)?;
        let standing = schema::standing(&conn)?;
        Ok((conn, standing))
    });
    opened.map_err(|error| refused(dir, error))
}

/// Why opening `dir` came to `error`.
pub(crate) fn refused(dir: &Path, error: rusqlite::Error) -> OpenError {
    let dir = dir.to_owned();
    if error.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase) {
        return OpenError::NotAJournal {
            path: dir.join(FILE),
        };
    }
    match kind(&error) {
        Kind::Full => OpenError::Full { dir },
        Kind::Corrupt => OpenError::Corrupt(error.into()),
        Kind::Device | Kind::Other => OpenError::Io {
            dir,
            cause: error.into(),
        },
    }
}
