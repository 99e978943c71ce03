//! The format of this release, so that it cannot change unnoticed.
//!
//! `golden/1.sql` is a whole journal as this release writes it. Every later release must open it,
//! bring it up to date and read it to the same chain head. It is never changed; a new schema adds
//! a file.

use remuda_journal::{Batch, Claim, Journal, SealedRow, Seq, Side, WriterEpoch, verify};
use remuda_types::Label;
use rusqlite::Connection;
use rusqlite::types::ValueRef;

use crate::sample::{batch, record, row};

const GOLDEN: &str = include_str!("../golden/1.sql");
const GOLDEN_HEAD: &str = "7dafb0cb675f6ed0f01a17c9b9265978f68d12c0399598f7893a82aba55a37da";

fn write(dir: &std::path::Path) -> Journal {
    let mut journal = Journal::open(dir, Claim::Alone).unwrap();
    journal.append(&batch(1, 3)).unwrap();
    journal.append(&batch(4, 1)).unwrap();
    let beside = vec![
        Side::Sealed(SealedRow {
            owner: [1; 16],
            key: Label([2; 16]),
            ciphertext: b"sealed".to_vec(),
        }),
        Side::Meta {
            key: "wrapped".into(),
            value: b"value".to_vec(),
        },
    ];
    journal
        .append(&Batch {
            sides: beside,
            ..batch(5, 2)
        })
        .unwrap();
    journal
}

/// Everything in the file, as statements that make it again.
fn dump(dir: &std::path::Path) -> String {
    let conn = Connection::open(dir.join("journal.db")).unwrap();
    let pragma = |name: &str| -> String {
        let value: i64 = conn
            .pragma_query_value(None, name, |row| row.get(0))
            .unwrap();
        format!("PRAGMA {name} = {value};\n")
    };
    let schema = strings(&conn, "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL");
    let tables = strings(&conn, "SELECT name FROM sqlite_schema WHERE type = 'table'");
    let schema: String = schema.iter().map(|sql| sql.clone() + ";\n").collect();
    let rows: String = tables.iter().map(|table| rows(&conn, table)).collect();
    pragma("application_id") + &pragma("user_version") + &schema + &rows
}

fn strings(conn: &Connection, sql: &str) -> Vec<String> {
    let mut statement = conn.prepare(sql).unwrap();
    statement
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

fn rows(conn: &Connection, table: &str) -> String {
    let mut statement = conn.prepare(&format!("SELECT * FROM {table}")).unwrap();
    let columns = statement.column_count();
    let line = |row: &rusqlite::Row<'_>| {
        let values: Vec<_> = (0..columns)
            .map(|column| literal(row.get_ref(column).unwrap()))
            .collect();
        Ok(format!(
            "INSERT INTO {table} VALUES ({});\n",
            values.join(", ")
        ))
    };
    statement
        .query_map([], line)
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

fn literal(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "NULL".into(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(text) => format!("'{}'", str::from_utf8(text).unwrap()),
        ValueRef::Blob(bytes) => {
            let hex: String = bytes
                .iter()
                .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
            format!("x'{hex}'")
        }
    }
}

#[test]
fn this_release_writes_the_golden_journal() {
    let dir = tempfile::tempdir().unwrap();
    let journal = write(dir.path());
    assert_eq!(journal.head().head.to_string(), GOLDEN_HEAD);
    drop(journal);
    assert_eq!(dump(dir.path()), GOLDEN);
}

#[test]
fn the_golden_journal_is_read_and_continued() {
    let dir = tempfile::tempdir().unwrap();
    let conn = Connection::open(dir.path().join("journal.db")).unwrap();
    conn.execute_batch(GOLDEN).unwrap();
    drop(conn);
    let mut journal = Journal::open(dir.path(), Claim::Alone).unwrap();
    assert_eq!(journal.epoch(), WriterEpoch(2));
    let view = journal.view();
    let verified = verify(view, Seq::FIRST).unwrap();
    assert_eq!((verified.records, verified.batches), (6, 3));
    assert_eq!(verified.committed.head.to_string(), GOLDEN_HEAD);
    assert_eq!(
        view.read(Seq::FIRST, 10).unwrap(),
        (1..=6).map(record).collect::<Vec<_>>()
    );
    assert_eq!(view.idempotency(row(4).key).unwrap(), Some(row(4)));
    assert_eq!(
        view.sealed([1; 16], Label([2; 16])).unwrap(),
        Some(b"sealed".to_vec())
    );
    assert_eq!(view.meta("wrapped").unwrap(), Some(b"value".to_vec()));
    assert_eq!(journal.append(&batch(7, 1)).unwrap().last_seq, Seq(7));
}
