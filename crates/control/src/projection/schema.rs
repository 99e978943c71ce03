//! The tables.

use std::path::Path;
use std::time::Duration;

use remuda_journal::{ChainHead, Seq};
use remuda_types::Digest;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

/// Counts up with every change of the tables or of what their rows mean. A file of another version
/// is emptied and built anew.
const VERSION: i64 = 3;

/// How long one connection waits for another.
const LOCK_WAIT: Duration = Duration::from_secs(5);

const TABLES: &str = "
    create table written (
        only integer primary key check (only = 0), seq integer not null, head blob not null
    );
    create table event (
        seq integer not null, ordinal integer not null, at_ms integer not null, kind text not null,
        project text, provider text, body text not null, primary key (seq, ordinal)
    ) without rowid;
    create index event_of_project on event (project, seq, ordinal) where project is not null;
    create index event_of_provider on event (provider, seq, ordinal) where provider is not null;
    create table line (
        seq integer not null, ordinal integer not null, side integer not null, at_ms integer not null,
        account text not null, other text not null, amount integer not null, purpose text not null,
        transfer text not null, primary key (account, seq, ordinal, side)
    ) without rowid;
    create table slice (
        seq integer not null, ordinal integer not null, at_ms integer not null, lease text not null,
        replica text not null, workload text not null, project text not null, provider text not null,
        node text not null, ready_ms integer not null, starting_ms integer not null,
        suspect_ms integer not null, silent_ms integer not null, amount integer not null,
        earned integer not null, fee integer not null, pool integer not null,
        primary key (seq, ordinal)
    ) without rowid;
    create index slice_of_project on slice (project);
    create index slice_of_provider on slice (provider);
    create table usage (
        seq integer not null, ordinal integer not null, at_ms integer not null, lease text not null,
        api_key text not null, project text not null, provider text not null,
        requests integer not null, prompt_tokens integer not null,
        completion_tokens integer not null, amount integer not null, earned integer not null,
        fee integer not null, pool integer not null, primary key (seq, ordinal)
    ) without rowid;
    create index usage_of_project on usage (project);
    create index usage_of_provider on usage (provider);
    create table lease_end (
        seq integer not null, ordinal integer not null, at_ms integer not null, lease text not null,
        replica text not null, workload text not null, project text not null, provider text not null,
        node text not null, granted_ms integer not null, reason text not null, fault text not null,
        primary key (seq, ordinal)
    ) without rowid;
    create index lease_end_of_project on lease_end (project);
    create index lease_end_of_provider on lease_end (provider);
    create table forfeit (
        seq integer not null, ordinal integer not null, at_ms integer not null, provider text not null,
        level integer not null, from_held integer not null, from_bond integer not null,
        to_tenants integer not null, to_pool integer not null, primary key (seq, ordinal)
    ) without rowid;
    create index forfeit_of_provider on forfeit (provider);
    create table compensation (
        seq integer not null, ordinal integer not null, at_ms integer not null, lease text not null,
        project text not null, provider text not null, amount integer not null,
        primary key (seq, ordinal, lease)
    ) without rowid;
    create index compensation_of_project on compensation (project);
";

/// Opens the file for writing, with the tables of this version.
pub(super) fn open(path: &Path) -> Result<Connection, rusqlite::Error> {
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(LOCK_WAIT)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    // A crash may cost the newest rows: they are built again from the journal.
    connection.pragma_update(None, "synchronous", "off")?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version != VERSION {
        empty(&mut connection)?;
    }
    Ok(connection)
}

/// Opens a file that has been opened for writing.
pub(super) fn open_reader(path: &Path) -> Result<Connection, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(LOCK_WAIT)?;
    Ok(connection)
}

/// Has the tables of this version, without a row.
pub(super) fn empty(connection: &mut Connection) -> Result<(), rusqlite::Error> {
    let transaction = connection.transaction()?;
    let tables: Vec<String> = transaction
        .prepare(
            "select name from sqlite_schema where type = 'table' and name not like 'sqlite_%'",
        )?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for table in tables {
        transaction.execute_batch(&format!("drop table \"{}\"", table.replace('"', "\"\"")))?;
    }
    transaction.execute_batch(TABLES)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}

/// The newest record whose rows are there, and the chain's head at it.
pub(super) fn written(connection: &Connection) -> Result<(Seq, ChainHead), rusqlite::Error> {
    let found = connection
        .query_row("select seq, head from written", [], |row| {
            let seq: i64 = row.get(0)?;
            Ok((Seq(seq.unsigned_abs()), ChainHead(Digest(row.get(1)?))))
        })
        .optional()?;
    Ok(found.unwrap_or_default())
}

/// Notes the newest record whose rows are there.
pub(super) fn set_written(
    connection: &Connection,
    seq: Seq,
    head: ChainHead,
) -> Result<(), rusqlite::Error> {
    let seq = i64::try_from(seq.0).unwrap_or(i64::MAX);
    connection.execute(
        "insert or replace into written values (0, ?1, ?2)",
        params![seq, head.0.0],
    )?;
    Ok(())
}
