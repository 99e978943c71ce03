//! The one writer.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use remuda_types::Time;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior, params};

use super::lock::{Claim, Lock};
use super::reader::{LOCK_WAIT, Reader, epoch, open_file, refused};
use super::schema::{self, Standing};
use super::{FILE, integer, sides};
use crate::append::{Append, AppendError, MAX_BATCH_BYTES, ReopenError};
use crate::chain::{Link, WriterEpoch};
use crate::durable::{make_dir, sync_dir};
use crate::fault::{Kind, OpenError, ReadError, is_full, kind, no_space};
use crate::record::{Batch, Committed, RecordDraft, encode_payload};
use crate::side::Side;

/// Set before a new file gets its first page. A batch is one long blob: larger pages mean fewer
/// links and checksums, smaller ones less to write for a batch of one.
const PAGE_BYTES: i64 = 8_192;

/// The write-ahead log is copied into the file after this many pages, and cut to the size below.
const CHECKPOINT_PAGES: i64 = 4_096;
const WAL_KEPT_BYTES: i64 = 64 << 20;

/// Where it is counted how often the file was opened again.
const REOPENED: &str = "reopened";

/// Room that a transaction needs beside its payload.
const OVERHEAD_BYTES: usize = 1 << 16;

/// The one writer of a journal.
#[derive(Debug)]
pub struct Journal {
    view: Reader,
    dir: PathBuf,
    epoch: WriterEpoch,
    committed: Committed,
    /// Kept between batches for its capacity.
    payload: Vec<u8>,
    condition: Condition,
    /// Something was erased, and its bytes may still stand in the write-ahead log.
    scrub_due: bool,
    // Last, so that the connection is closed before the lock is given up.
    _lock: Lock,
}

/// Whether a writer may still append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    Sound,
    Stopped,
}

impl Journal {
    /// Opens the journal in `dir`, making it where there is none, as its one writer.
    pub fn open(dir: &Path, claim: Claim) -> Result<Self, OpenError> {
        make_dir(dir).map_err(|error| file_refused(dir, error))?;
        let lock = Lock::take(dir, claim)
            .map_err(|error| file_refused(dir, error))?
            .ok_or_else(|| OpenError::AlreadyOpen {
                dir: dir.to_owned(),
            })?;
        let conn = open_current(dir)?;
        let epoch = claim_epoch(&conn).map_err(|error| refused(dir, error))?;
        // The new file's name must outlive a power cut as its content does.
        sync_dir(dir).map_err(|error| file_refused(dir, error))?;
        let view = Reader { conn };
        let committed = checked_end(&view).map_err(OpenError::Corrupt)?;
        Ok(Self {
            view,
            dir: dir.to_owned(),
            epoch,
            committed,
            payload: Vec::new(),
            condition: Condition::Sound,
            scrub_due: true,
            _lock: lock,
        })
    }

    /// Opens the file again after a failure, and asks it how far the journal is. The writer stays
    /// the same: its lock and its epoch are kept, and where another has taken over meanwhile,
    /// nothing is taken back from it.
    pub fn reopen(&mut self) -> Result<(), ReopenError> {
        let conn = open_current(&self.dir)?;
        renew(&conn, self.epoch).map_err(|fault| self.not_reopened(fault))?;
        let view = Reader { conn };
        self.committed = checked_end(&view).map_err(OpenError::Corrupt)?;
        self.view = view;
        self.condition = Condition::Sound;
        self.scrub_due = true;
        Ok(())
    }

    fn not_reopened(&self, fault: Fault) -> ReopenError {
        match fault {
            Fault::Fenced(current) => ReopenError::Fenced {
                ours: self.epoch,
                current,
            },
            Fault::Engine(error) => refused(&self.dir, error).into(),
        }
    }

    /// Reads, through the writer's own connection.
    pub fn view(&self) -> &Reader {
        &self.view
    }

    /// This writer's epoch.
    pub fn epoch(&self) -> WriterEpoch {
        self.epoch
    }

    /// Commits `batch`, durably, or nothing of it.
    pub fn append(&mut self, batch: &Batch) -> Result<Committed, AppendError> {
        self.refuse_misfit(batch)?;
        self.encode(&batch.records)?;
        let next = self.next_link(batch);
        let committed = next.map_or(self.committed, |link| Committed {
            last_seq: link.last_seq,
            head: link.hash(),
        });
        self.transact(|conn| {
            next.map_or(Ok(()), |link| insert(conn, &link, committed))?;
            batch
                .sides
                .iter()
                .try_for_each(|side| sides::write(conn, side))
        })
        .map_err(|fault| self.failed(fault))?;
        self.committed = committed;
        self.scrub_due |= batch.sides.iter().any(Side::erases);
        self.scrub();
        Ok(committed)
    }

    /// How far the journal is committed.
    pub fn head(&self) -> Committed {
        self.committed
    }

    /// Removes at most `at_most` kept answers that `now` has passed, the oldest first, in a
    /// transaction of its own; says how many. When it says `at_most` there may be more.
    pub fn expire_idempotency(&mut self, now: Time, at_most: u32) -> Result<usize, AppendError> {
        if self.condition == Condition::Stopped {
            return Err(AppendError::Stopped);
        }
        self.payload.clear();
        self.transact(|conn| sides::expire(conn, now, at_most))
            .map_err(|fault| self.failed(fault))
    }

    fn refuse_misfit(&self, batch: &Batch) -> Result<(), AppendError> {
        if self.condition == Condition::Stopped {
            return Err(AppendError::Stopped);
        }
        let expected = self.committed.last_seq.next();
        if batch.first_seq != expected {
            return Err(AppendError::OutOfOrder {
                expected,
                given: batch.first_seq,
            });
        }
        Ok(())
    }

    fn encode(&mut self, records: &[RecordDraft]) -> Result<(), AppendError> {
        self.payload.clear();
        encode_payload(records, &mut self.payload);
        let bytes = self.payload.len();
        if bytes > MAX_BATCH_BYTES {
            return Err(AppendError::TooLarge {
                bytes,
                limit: MAX_BATCH_BYTES,
            });
        }
        Ok(())
    }

    /// What the batch adds to the chain: nothing where it holds no records.
    fn next_link(&self, batch: &Batch) -> Option<Link<'_>> {
        let count = batch.records.len() as u64;
        (count > 0).then(|| Link {
            previous: self.committed.head,
            first_seq: batch.first_seq,
            last_seq: self.committed.last_seq.plus(count),
            epoch: self.epoch,
            payload: &self.payload,
        })
    }

    /// Runs `work` in one transaction of a writer that is not fenced.
    fn transact<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Fault> {
        let transaction =
            Transaction::new_unchecked(&self.view.conn, TransactionBehavior::Immediate)?;
        let current = epoch(&transaction)?;
        if current != self.epoch {
            return Err(Fault::Fenced(current));
        }
        let done = work(&transaction)?;
        transaction.commit()?;
        Ok(done)
    }

    /// The error to answer with; a failure that leaves doubt about the disk stops the writer.
    fn failed(&mut self, fault: Fault) -> AppendError {
        let error = match fault {
            Fault::Fenced(current) => {
                return AppendError::Fenced {
                    ours: self.epoch,
                    current,
                };
            }
            Fault::Engine(error) => error,
        };
        let full = || AppendError::Full {
            dir: self.dir.clone(),
        };
        let failure = match kind(&error) {
            Kind::Full => return full(),
            Kind::Device if is_full(&self.dir, self.payload.len() + OVERHEAD_BYTES) => {
                return full();
            }
            Kind::Corrupt => AppendError::Corrupt(error.into()),
            Kind::Device | Kind::Other => AppendError::Io(error.into()),
        };
        self.condition = Condition::Stopped;
        failure
    }

    /// Empties the write-ahead log where it may hold erased bytes. The batch is committed, so a
    /// reader in the way or a failure only means that the next batch tries again.
    fn scrub(&mut self) {
        if self.scrub_due {
            self.scrub_due = !emptied(&self.view.conn).unwrap_or(false);
        }
    }
}

impl Append for Journal {
    fn append(&mut self, batch: &Batch) -> Result<Committed, AppendError> {
        Self::append(self, batch)
    }

    fn head(&self) -> Committed {
        Self::head(self)
    }
}

/// Why a transaction did not happen.
enum Fault {
    Fenced(WriterEpoch),
    Engine(rusqlite::Error),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Engine(error)
    }
}

fn insert(conn: &Connection, link: &Link<'_>, committed: Committed) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "INSERT INTO batch (first_seq, last_seq, writer_epoch, previous, hash, payload)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        integer(link.first_seq.0),
        integer(link.last_seq.0),
        integer(link.epoch.0),
        link.previous.0.0,
        committed.head.0.0,
        link.payload,
    ])
    .map(drop)
}

/// Whether the whole write-ahead log could be copied and cut, without waiting for readers.
fn emptied(conn: &Connection) -> rusqlite::Result<bool> {
    conn.busy_timeout(Duration::ZERO)?;
    let busy = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| {
        row.get::<_, i64>(0)
    });
    conn.busy_timeout(LOCK_WAIT)?;
    busy.map(|busy| busy == 0)
}

/// Opens the file of `dir` for writing, with every migration done.
fn open_current(dir: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let (conn, standing) = open_file(dir, flags)?;
    let done = match standing {
        Standing::Empty => 0,
        Standing::Journal(found) if found <= schema::CURRENT => found,
        Standing::Journal(found) => {
            return Err(OpenError::Schema {
                found,
                known: schema::CURRENT,
            });
        }
        Standing::Foreign => {
            return Err(OpenError::NotAJournal {
                path: dir.join(FILE),
            });
        }
    };
    set_up(&conn)
        .and_then(|()| schema::migrate(&conn, done))
        .map(|()| conn)
        .map_err(|error| refused(dir, error))
}

fn set_up(conn: &Connection) -> rusqlite::Result<()> {
    conn.pragma_update(None, "page_size", PAGE_BYTES)?;
    conn.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    conn.pragma_update(None, "synchronous", "full")?;
    conn.pragma_update_and_check(None, "secure_delete", true, |_| Ok(()))?;
    conn.pragma_update_and_check(None, "wal_autocheckpoint", CHECKPOINT_PAGES, |_| Ok(()))?;
    conn.pragma_update_and_check(None, "journal_size_limit", WAL_KEPT_BYTES, |_| Ok(()))
}

/// Takes the next epoch. This commits, and so overwrites what a failed append of an earlier writer
/// may have left in the write-ahead log, before anybody asks how far the journal is.
fn claim_epoch(conn: &Connection) -> rusqlite::Result<WriterEpoch> {
    let transaction = Transaction::new_unchecked(conn, TransactionBehavior::Immediate)?;
    let claimed = WriterEpoch(epoch(&transaction)?.0 + 1);
    transaction.execute(
        "UPDATE writer SET epoch = ?1 WHERE one = 1",
        [integer(claimed.0)],
    )?;
    transaction.commit()?;
    Ok(claimed)
}

/// Commits something as the writer of `ours`, if that is the one in charge still: what a failed
/// append left in the write-ahead log is overwritten by it, or is committed for good.
fn renew(conn: &Connection, ours: WriterEpoch) -> Result<(), Fault> {
    let transaction = Transaction::new_unchecked(conn, TransactionBehavior::Immediate)?;
    let current = epoch(&transaction)?;
    if current != ours {
        return Err(Fault::Fenced(current));
    }
    let times = sides::meta(&transaction, REOPENED)?
        .and_then(|bytes| Some(u64::from_be_bytes(bytes.try_into().ok()?)))
        .unwrap_or_default();
    // A number that grows: a value that is there already would not be written.
    let counted = Side::Meta {
        key: REOPENED.to_owned(),
        value: times.wrapping_add(1).to_be_bytes().to_vec(),
    };
    sides::write(&transaction, &counted)?;
    Ok(transaction.commit()?)
}

/// How far the journal is committed, its last batch read and checked.
fn checked_end(view: &Reader) -> Result<Committed, ReadError> {
    let mut batches = view.batches(view.head()?.last_seq)?;
    while batches.next().transpose()?.is_some() {}
    Ok(batches.at())
}

fn file_refused(dir: &Path, error: io::Error) -> OpenError {
    let dir = dir.to_owned();
    if no_space(&error) {
        return OpenError::Full { dir };
    }
    OpenError::Io {
        dir,
        cause: error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use remuda_types::{CommandId, Digest};

    use crate::record::Seq;
    use crate::side::IdempotencyRow;
    use crate::verify::verify;

    fn batch(first: u64, count: u64) -> Batch {
        let record = |seq| RecordDraft {
            at: Time::from_millis(seq),
            command: CommandId::from_u128(seq.into()),
            body: vec![7; 300],
        };
        let row = |seq: u64| {
            Side::Idempotency(IdempotencyRow {
                key: Digest::of(&seq.to_be_bytes()),
                request: Digest::of(b"request"),
                response: b"answer".to_vec(),
                expires: Time::FOREVER,
            })
        };
        Batch {
            first_seq: Seq(first),
            records: (first..first + count).map(record).collect(),
            sides: (first..first + count).map(row).collect(),
        }
    }

    /// Lets the file have no more than `pages`; SQLite then answers as on a full disk.
    fn limit(journal: &Journal, pages: i64) {
        let set = journal
            .view
            .conn
            .pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()));
        set.unwrap();
    }

    #[test]
    fn on_a_full_disk_nothing_is_kept_and_appending_goes_on_when_there_is_space() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(dir.path(), Claim::Alone).unwrap();
        let reader = Reader::open(dir.path()).unwrap();
        let before = journal.append(&batch(1, 3)).unwrap();
        limit(&journal, 1);
        for _ in 0..3 {
            let refused = journal.append(&batch(4, 1_000));
            assert!(
                matches!(refused, Err(AppendError::Full { .. })),
                "{refused:?}"
            );
            assert_eq!(journal.head(), before);
            assert_eq!(reader.head().unwrap(), before);
            assert_eq!(reader.read(Seq::FIRST, 10).unwrap().len(), 3);
            assert_eq!(reader.stats().unwrap().idempotency_rows, 3);
        }
        limit(&journal, 1 << 20);
        assert_eq!(
            journal.append(&batch(4, 1_000)).unwrap().last_seq,
            Seq(1_003)
        );
        assert_eq!(verify(&reader, Seq::FIRST).unwrap().records, 1_003);
    }

    #[test]
    fn after_a_failure_of_the_engine_the_writer_stops_and_reopening_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(dir.path(), Claim::Alone).unwrap();
        let before = journal.append(&batch(1, 1)).unwrap();
        let trigger = "CREATE TRIGGER refuse BEFORE INSERT ON idempotency
            BEGIN SELECT RAISE(ABORT, 'refused'); END";
        journal.view.conn.execute_batch(trigger).unwrap();
        assert!(matches!(
            journal.append(&batch(2, 1)),
            Err(AppendError::Io(_))
        ));
        journal
            .view
            .conn
            .execute_batch("DROP TRIGGER refuse")
            .unwrap();
        assert!(matches!(
            journal.append(&batch(2, 1)),
            Err(AppendError::Stopped)
        ));
        assert!(matches!(
            journal.expire_idempotency(Time::FOREVER, 1),
            Err(AppendError::Stopped)
        ));
        drop(journal);
        let mut journal = Journal::open(dir.path(), Claim::Alone).unwrap();
        assert_eq!(journal.head(), before);
        assert_eq!(journal.append(&batch(2, 1)).unwrap().last_seq, Seq(2));
    }

    /// Lets an append fail as a broken disk would, in a way that reopening mends.
    fn break_down(journal: &mut Journal) {
        let conn = &journal.view.conn;
        conn.execute_batch(
            "CREATE TRIGGER refuse BEFORE INSERT ON batch BEGIN SELECT RAISE(ABORT, 'no'); END",
        )
        .unwrap();
        let first = journal.head().last_seq.next().0;
        let refused = journal.append(&batch(first, 1));
        assert!(matches!(refused, Err(AppendError::Io(_))), "{refused:?}");
        journal
            .view
            .conn
            .execute_batch("DROP TRIGGER refuse")
            .unwrap();
    }

    #[test]
    fn a_writer_that_reopens_is_the_same_and_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(dir.path(), Claim::Alone).unwrap();
        let before = journal.append(&batch(1, 2)).unwrap();
        for _ in 0..2 {
            break_down(&mut journal);
            journal.reopen().unwrap();
            assert_eq!((journal.epoch(), journal.head()), (WriterEpoch(1), before));
        }
        assert_eq!(journal.append(&batch(3, 1)).unwrap().last_seq, Seq(3));
        let another = Journal::open(dir.path(), Claim::Alone);
        assert!(matches!(another, Err(OpenError::AlreadyOpen { .. })));
    }

    #[test]
    fn a_writer_does_not_take_back_by_reopening_what_another_has_taken() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(dir.path(), Claim::Alone).unwrap();
        journal.append(&batch(1, 1)).unwrap();
        break_down(&mut journal);
        let mut standby = Journal::open(dir.path(), Claim::TakeOver).unwrap();
        for _ in 0..2 {
            assert!(matches!(
                journal.reopen(),
                Err(ReopenError::Fenced {
                    ours: WriterEpoch(1),
                    current: WriterEpoch(2)
                })
            ));
        }
        assert!(matches!(
            journal.append(&batch(2, 1)),
            Err(AppendError::Stopped)
        ));
        assert_eq!(standby.append(&batch(2, 1)).unwrap().last_seq, Seq(2));
        drop(journal);
        let third = Journal::open(dir.path(), Claim::Alone);
        assert!(matches!(third, Err(OpenError::AlreadyOpen { .. })));
    }

    #[test]
    fn a_batch_over_the_limit_is_refused_before_anything_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(dir.path(), Claim::Alone).unwrap();
        let mut large = batch(1, 1);
        large.records[0].body = vec![0; MAX_BATCH_BYTES];
        assert!(matches!(
            journal.append(&large),
            Err(AppendError::TooLarge { .. })
        ));
        assert_eq!(journal.append(&batch(1, 1)).unwrap().last_seq, Seq::FIRST);
    }

    #[test]
    fn the_file_is_set_up_to_survive_a_power_cut_and_to_forget() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path(), Claim::Alone).unwrap();
        let pragma = |name| -> i64 {
            journal
                .view
                .conn
                .pragma_query_value(None, name, |row| row.get(0))
                .unwrap()
        };
        let mode: String = journal
            .view
            .conn
            .pragma_query_value(None, "journal_mode", |row| row.get(0))
            .unwrap();
        assert_eq!(
            (
                mode.as_str(),
                pragma("synchronous"),
                pragma("secure_delete")
            ),
            ("wal", 2, 1)
        );
        assert_eq!(pragma("page_size"), PAGE_BYTES);
    }
}
