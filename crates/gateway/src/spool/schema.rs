//! The tables.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS tranches (
    tranche      BLOB PRIMARY KEY,
    project      BLOB NOT NULL,
    -- What was asked for, then what was given.
    amount       INTEGER NOT NULL,
    -- NULL until control has given it.
    deadline     INTEGER,
    -- The sum of all bills in it, posted or not.
    settled      INTEGER NOT NULL DEFAULT 0,
    acknowledged INTEGER NOT NULL DEFAULT 0,
    -- The post that is on its way, as it was sent.
    outstanding  BLOB
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS requests (
    request         BLOB PRIMARY KEY,
    tranche         BLOB NOT NULL,
    key             BLOB NOT NULL,
    prompt_rate     INTEGER NOT NULL,
    completion_rate INTEGER NOT NULL,
    reserved        INTEGER NOT NULL,
    -- The last checkpoint, then the final count.
    delivered       BLOB NOT NULL,
    -- NULL until the request has its bill.
    ordinal         INTEGER,
    -- The number of the post that summed it.
    posted          INTEGER
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS billed ON requests (tranche, posted, ordinal);
-- Counts batches, so that one whose commit seemed to fail is not written twice.
CREATE TABLE IF NOT EXISTS commits (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    count    INTEGER NOT NULL
) WITHOUT ROWID;
INSERT OR IGNORE INTO commits VALUES (1, 0);
PRAGMA user_version = 1;
";

/// Opens the file, makes what is missing, and makes sure that a commit means a sync.
pub(super) fn open(path: &Path) -> rusqlite::Result<Connection> {
    let database = Connection::open(path)?;
    database.busy_timeout(Duration::from_secs(5))?;
    database.pragma_update(None, "journal_mode", "WAL")?;
    database.pragma_update(None, "synchronous", "FULL")?;
    // One gateway, one spool: a second process on the same folder is refused.
    database.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    database.execute_batch(TABLES)?;
    Ok(database)
}
