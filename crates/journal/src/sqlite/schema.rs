//! The tables, and how an older file is brought up to date.

use rusqlite::{Connection, Transaction, TransactionBehavior};

/// Marks the file as a journal: `RMDJ`.
const APPLICATION_ID: i64 = 0x524D_444A;

/// Each is run once, in order, in its own transaction; `user_version` counts those that were. One
/// that has been released is never changed.
const MIGRATIONS: &[&str] = &["
    CREATE TABLE writer (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        epoch INTEGER NOT NULL
    ) STRICT;
    INSERT INTO writer VALUES (1, 0);

    CREATE TABLE batch (
        last_seq INTEGER PRIMARY KEY,
        first_seq INTEGER NOT NULL,
        writer_epoch INTEGER NOT NULL,
        previous BLOB NOT NULL,
        hash BLOB NOT NULL,
        payload BLOB NOT NULL
    ) STRICT;

    CREATE TABLE idempotency (
        key BLOB NOT NULL PRIMARY KEY,
        request BLOB NOT NULL,
        response BLOB NOT NULL,
        expires_ms INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX idempotency_expires ON idempotency (expires_ms);

    CREATE TABLE sealed (
        owner BLOB NOT NULL,
        key BLOB NOT NULL,
        ciphertext BLOB NOT NULL,
        PRIMARY KEY (owner, key)
    ) STRICT;

    CREATE TABLE meta (
        key TEXT NOT NULL PRIMARY KEY,
        value BLOB NOT NULL
    ) STRICT;
"];

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing in it yet.
    Empty,
    /// A journal of this many migrations.
    Journal(i64),
    /// Another program's.
    Foreign,
}

/// The schema that this program writes.
#[expect(clippy::cast_possible_wrap, reason = "a handful of migrations")]
pub(crate) const CURRENT: i64 = MIGRATIONS.len() as i64;

pub(crate) fn standing(conn: &Connection) -> rusqlite::Result<Standing> {
    let application: i64 = conn.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let version: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let objects: i64 =
        conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(match (application, objects) {
        (APPLICATION_ID, _) => Standing::Journal(version),
        (0, 0) if version == 0 => Standing::Empty,
        _ => Standing::Foreign,
    })
}

/// Runs the migrations after the first `done`.
pub(crate) fn migrate(conn: &Connection, done: i64) -> rusqlite::Result<()> {
    (1..)
        .zip(MIGRATIONS)
        .filter(|(version, _)| *version > done)
        .try_for_each(|(version, sql)| {
            let transaction = Transaction::new_unchecked(conn, TransactionBehavior::Immediate)?;
            transaction.execute_batch(sql)?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.pragma_update(None, "user_version", version)?;
            transaction.commit()
        })
}
