//! The tables.

use std::path::Path;

use remuda_journal::Seq;
use rusqlite::{Connection, OptionalExtension, params};

const TABLES: &str = "
    create table if not exists written (only integer primary key check (only = 0), seq integer not null);
    create table if not exists event (
        seq integer not null, ordinal integer not null, at_ms integer not null, kind text not null,
        project text, provider text, body text not null, primary key (seq, ordinal)
    ) without rowid;
    create index if not exists event_of_project on event (project, seq, ordinal) where project is not null;
    create index if not exists event_of_provider on event (provider, seq, ordinal) where provider is not null;
    create table if not exists line (
        seq integer not null, ordinal integer not null, side integer not null, at_ms integer not null,
        account text not null, other text not null, amount integer not null, purpose text not null,
        transfer text not null, primary key (account, seq, ordinal, side)
    ) without rowid;
    create table if not exists slice (
        seq integer not null, ordinal integer not null, at_ms integer not null, lease text not null,
        replica text not null, workload text not null, project text not null, provider text not null,
        node text not null, ready_ms integer not null, starting_ms integer not null,
        suspect_ms integer not null, silent_ms integer not null, amount integer not null,
        earned integer not null, fee integer not null, pool integer not null,
        primary key (seq, ordinal)
    ) without rowid;
    create table if not exists usage (
        seq integer not null, ordinal integer not null, at_ms integer not null, lease text not null,
        api_key text not null, project text not null, provider text not null,
        requests integer not null, prompt_tokens integer not null,
        completion_tokens integer not null, amount integer not null, earned integer not null,
        fee integer not null, pool integer not null, primary key (seq, ordinal)
    ) without rowid;
    create table if not exists lease_end (
        seq integer not null, ordinal integer not null, at_ms integer not null, lease text not null,
        replica text not null, workload text not null, project text not null, provider text not null,
        node text not null, granted_ms integer not null, reason text not null, fault text not null,
        primary key (seq, ordinal)
    ) without rowid;
    create table if not exists forfeit (
        seq integer not null, ordinal integer not null, at_ms integer not null, provider text not null,
        level integer not null, from_held integer not null, from_bond integer not null,
        to_tenants integer not null, to_pool integer not null, primary key (seq, ordinal)
    ) without rowid;
";

/// Opens the file and makes what tables it lacks.
pub(super) fn open(path: &Path) -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    // A crash may cost the newest rows: they are built again from the journal.
    connection.pragma_update(None, "synchronous", "off")?;
    connection.execute_batch(TABLES)?;
    Ok(connection)
}

/// The newest record whose rows are there.
pub(super) fn written(connection: &Connection) -> Result<Seq, rusqlite::Error> {
    let seq: Option<i64> = connection
        .query_row("select seq from written", [], |row| row.get(0))
        .optional()?;
    Ok(Seq(seq
        .and_then(|seq| u64::try_from(seq).ok())
        .unwrap_or_default()))
}

/// Notes the newest record whose rows are there.
pub(super) fn set_written(connection: &Connection, seq: Seq) -> Result<(), rusqlite::Error> {
    let seq = i64::try_from(seq.0).unwrap_or(i64::MAX);
    connection.execute(
        "insert or replace into written values (0, ?1)",
        params![seq],
    )?;
    Ok(())
}
