//! The rows beside the log: how each is written and found again.

use remuda_types::{Digest, Label, Time};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::integer;
use crate::side::{IdempotencyRow, SealedRow, Side};

pub(crate) fn write(conn: &Connection, side: &Side) -> rusqlite::Result<()> {
    match side {
        Side::Idempotency(row) => conn
            .prepare_cached("INSERT OR REPLACE INTO idempotency VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![
                row.key.0,
                row.request.0,
                row.response,
                integer(row.expires.as_millis())
            ]),
        Side::Sealed(row) => conn
            .prepare_cached("INSERT OR REPLACE INTO sealed VALUES (?1, ?2, ?3)")?
            .execute(params![row.owner, row.key.0, row.ciphertext]),
        Side::SealedErase { owner } => conn
            .prepare_cached("DELETE FROM sealed WHERE owner = ?1")?
            .execute([owner]),
        Side::Meta { key, value } => conn
            .prepare_cached("INSERT OR REPLACE INTO meta VALUES (?1, ?2)")?
            .execute(params![key, value]),
        Side::MetaErase { key } => conn
            .prepare_cached("DELETE FROM meta WHERE key = ?1")?
            .execute([key]),
    }
    .map(drop)
}

/// Removes at most `at_most` rows that `now` has passed, the oldest first; says how many.
pub(crate) fn expire(conn: &Connection, now: Time, at_most: u32) -> rusqlite::Result<usize> {
    conn.prepare_cached(
        "DELETE FROM idempotency WHERE rowid IN (
            SELECT rowid FROM idempotency WHERE expires_ms <= ?1 ORDER BY expires_ms LIMIT ?2)",
    )?
    .execute(params![integer(now.as_millis()), at_most])
}

pub(crate) fn idempotency(
    conn: &Connection,
    key: Digest,
) -> rusqlite::Result<Option<IdempotencyRow>> {
    conn.prepare_cached("SELECT request, response, expires_ms FROM idempotency WHERE key = ?1")?
        .query_row([key.0], |row| {
            Ok(IdempotencyRow {
                key,
                request: Digest(row.get(0)?),
                response: row.get(1)?,
                expires: Time::from_millis(row.get::<_, i64>(2)?.unsigned_abs()),
            })
        })
        .optional()
}

pub(crate) fn sealed(
    conn: &Connection,
    owner: [u8; 16],
    key: Label,
) -> rusqlite::Result<Option<Vec<u8>>> {
    conn.prepare_cached("SELECT ciphertext FROM sealed WHERE owner = ?1 AND key = ?2")?
        .query_row([owner, key.0], |row| row.get(0))
        .optional()
}

pub(crate) fn sealed_all(conn: &Connection) -> rusqlite::Result<Vec<SealedRow>> {
    conn.prepare_cached("SELECT owner, key, ciphertext FROM sealed ORDER BY owner, key")?
        .query_map([], sealed_row)?
        .collect()
}

fn sealed_row(row: &Row<'_>) -> rusqlite::Result<SealedRow> {
    Ok(SealedRow {
        owner: row.get(0)?,
        key: Label(row.get(1)?),
        ciphertext: row.get(2)?,
    })
}

pub(crate) fn meta(conn: &Connection, key: &str) -> rusqlite::Result<Option<Vec<u8>>> {
    conn.prepare_cached("SELECT value FROM meta WHERE key = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()
}
