//! The thread that owns the file.

use std::path::PathBuf;
use std::time::Duration;

use rusqlite::{Connection, Transaction, params};
use tokio::sync::{mpsc, watch};

use super::note::{Billed, Note, Posting, Reserved};
use super::row::{encode, id_blob, unsigned};
use super::{Health, Job, schema};
use remuda_routing::Delivery;

/// The most notes of one commit.
const BATCH_MAX: usize = 1_024;

/// Between tries to write what could not be written.
const RETRY: Duration = Duration::from_secs(1);

/// Why a batch was not written.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Database(#[from] rusqlite::Error),
    #[error("{} has {found} commits, not {expected}: it is not the file that was written to", .path.display())]
    Other {
        path: PathBuf,
        found: u64,
        expected: u64,
    },
}

/// Who writes.
pub(super) struct Writer {
    path: PathBuf,
    /// None after a failure: what the file holds then is known only when it is opened anew.
    database: Option<Connection>,
    /// Batches that are in the file.
    commits: u64,
    health: watch::Sender<Health>,
}

impl Writer {
    pub(super) fn new(
        path: PathBuf,
        database: Connection,
        health: watch::Sender<Health>,
    ) -> rusqlite::Result<Self> {
        Ok(Self {
            path,
            commits: commits(&database)?,
            database: Some(database),
            health,
        })
    }

    /// Writes until everybody who could hand in notes is gone.
    pub(super) fn run(mut self, mut jobs: mpsc::UnboundedReceiver<Job>) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        while jobs.blocking_recv_many(&mut batch, BATCH_MAX) > 0 {
            while let Err(error) = self.write(&batch) {
                self.failed(&error);
                if jobs.is_closed() {
                    return;
                }
                std::thread::sleep(RETRY);
            }
            self.wrote();
            for job in batch.drain(..) {
                // Who does not wait for it does not need to know.
                job.done.send(()).unwrap_or_default();
            }
        }
    }

    fn failed(&self, error: &Error) {
        tracing::error!(%error, "the spool cannot be written; nothing new is served until it can");
        self.health.send_replace(Health::Faulty);
    }

    fn wrote(&self) {
        if self.health.send_replace(Health::Sound) == Health::Faulty {
            tracing::info!("the spool can be written again");
        }
    }

    fn write(&mut self, batch: &[Job]) -> Result<(), Error> {
        let written = self.write_once(batch);
        if written.is_err() {
            self.database = None;
        }
        written
    }

    /// Writes the batch, unless an earlier try that seemed to fail has.
    fn write_once(&mut self, batch: &[Job]) -> Result<(), Error> {
        let database = match &mut self.database {
            Some(database) => database,
            None => self.database.insert(schema::open(&self.path)?),
        };
        let transaction = database.transaction()?;
        let (found, number) = (commits(&transaction)?, self.commits + 1);
        if found == self.commits {
            commit(transaction, batch, number)?;
        } else if found != number {
            return Err(Error::Other {
                path: self.path.clone(),
                found,
                expected: self.commits,
            });
        }
        self.commits = number;
        Ok(())
    }
}

fn commit(transaction: Transaction<'_>, batch: &[Job], number: u64) -> rusqlite::Result<()> {
    for job in batch {
        apply(&transaction, &job.note)?;
    }
    let counted = "UPDATE commits SET count = ?1";
    run_one(&transaction, counted, [number.cast_signed()])?;
    transaction.commit()
}

/// How many batches the file holds.
fn commits(database: &Connection) -> rusqlite::Result<u64> {
    database
        .prepare_cached("SELECT count FROM commits")?
        .query_row([], |row| unsigned(row, "count"))
}

pub(super) fn apply(to: &Transaction<'_>, note: &Note) -> rusqlite::Result<()> {
    match note {
        Note::Asked(asked) => run_one(
            to,
            "INSERT OR IGNORE INTO tranches (tranche, project, amount) VALUES (?1, ?2, ?3)",
            params![
                id_blob(asked.tranche.as_u128()),
                id_blob(asked.project.as_u128()),
                asked.amount.as_micros()
            ],
        ),
        Note::Granted {
            tranche,
            amount,
            deadline,
        } => run_one(
            to,
            "UPDATE tranches SET amount = ?2, deadline = ?3 WHERE tranche = ?1 AND deadline IS NULL",
            params![
                id_blob(tranche.as_u128()),
                amount.as_micros(),
                deadline.as_millis().cast_signed()
            ],
        ),
        Note::Closed(tranche) => {
            let tranche = id_blob(tranche.as_u128());
            run_one(to, "DELETE FROM requests WHERE tranche = ?1", [tranche])?;
            run_one(to, "DELETE FROM tranches WHERE tranche = ?1", [tranche])
        }
        Note::Reserved(reserved) => reserve(to, reserved),
        Note::Checkpoints(checkpoints) => checkpoints.iter().try_for_each(|(request, delivery)| {
            checkpoint(to, id_blob(request.as_u128()), delivery)
        }),
        Note::Billed(billed) => bill(to, billed),
        Note::Free(request) => {
            let request = id_blob(request.as_u128());
            run_one(to, "DELETE FROM requests WHERE request = ?1", [request])
        }
        Note::Posting(posting) => post(to, posting),
        Note::Acknowledged { tranche, seq } => {
            let by = params![id_blob(tranche.as_u128()), seq.cast_signed()];
            run_one(
                to,
                "DELETE FROM requests WHERE tranche = ?1 AND posted <= ?2",
                by,
            )?;
            run_one(
                to,
                "UPDATE tranches SET acknowledged = ?2, outstanding = NULL WHERE tranche = ?1",
                by,
            )
        }
    }
}

fn run_one(
    to: &Transaction<'_>,
    statement: &str,
    with: impl rusqlite::Params,
) -> rusqlite::Result<()> {
    to.prepare_cached(statement)?.execute(with).map(|_| ())
}

fn reserve(to: &Transaction<'_>, reserved: &Reserved) -> rusqlite::Result<()> {
    let nothing = Delivery {
        prompt_tokens: reserved.prompt_tokens,
        ..Delivery::default()
    };
    run_one(
        to,
        "INSERT INTO requests
            (request, tranche, key, prompt_rate, completion_rate, reserved, delivered)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            id_blob(reserved.request.as_u128()),
            id_blob(reserved.tranche.as_u128()),
            id_blob(reserved.key.as_u128()),
            reserved.rate.prompt_micros_per_million.cast_signed(),
            reserved.rate.completion_micros_per_million.cast_signed(),
            reserved.amount.as_micros(),
            encode(&nothing),
        ],
    )
}

fn checkpoint(
    to: &Transaction<'_>,
    request: [u8; 16],
    delivery: &Delivery,
) -> rusqlite::Result<()> {
    // A request that has its bill meanwhile keeps it.
    run_one(
        to,
        "UPDATE requests SET delivered = ?2 WHERE request = ?1 AND ordinal IS NULL",
        params![request, encode(delivery)],
    )
}

pub(super) fn bill(to: &Transaction<'_>, billed: &Billed) -> rusqlite::Result<()> {
    let request = id_blob(billed.request.as_u128());
    run_one(
        to,
        "UPDATE requests SET delivered = ?2, ordinal = ?3 WHERE request = ?1",
        params![
            request,
            encode(&billed.delivery),
            billed.ordinal.cast_signed()
        ],
    )?;
    run_one(
        to,
        "UPDATE tranches SET settled = settled + ?2 WHERE tranche = ?1",
        params![
            id_blob(billed.tranche.as_u128()),
            billed.delivery.bill(billed.rate).amount.as_micros()
        ],
    )
}

fn post(to: &Transaction<'_>, posting: &Posting) -> rusqlite::Result<()> {
    let tranche = id_blob(posting.post.tranche.as_u128());
    run_one(
        to,
        "UPDATE requests SET posted = ?2 WHERE request IN (
            SELECT request FROM requests
            WHERE tranche = ?1 AND posted IS NULL AND ordinal IS NOT NULL
            ORDER BY ordinal LIMIT ?3)",
        params![
            tranche,
            posting.post.seq.cast_signed(),
            posting.bills.cast_signed()
        ],
    )?;
    // Encoding into memory has no error.
    let post = minicbor::to_vec(&posting.post).unwrap_or_default();
    run_one(
        to,
        "UPDATE tranches SET outstanding = ?2 WHERE tranche = ?1",
        params![tranche, post],
    )
}

#[cfg(test)]
mod tests {
    use remuda_routing::Rate;
    use remuda_types::{ApiKeyId, Money, RequestId, TrancheId};
    use tokio::sync::oneshot;

    use super::*;

    fn reserved() -> Job {
        let rate = Rate {
            prompt_micros_per_million: 1,
            completion_micros_per_million: 1,
        };
        let (done, _) = oneshot::channel();
        Job {
            note: Note::Reserved(Reserved {
                request: RequestId::from_u128(1),
                tranche: TrancheId::from_u128(2),
                key: ApiKeyId::from_u128(3),
                rate,
                prompt_tokens: 1,
                amount: Money::ZERO,
            }),
            done,
        }
    }

    #[test]
    fn a_batch_that_reached_the_disk_is_not_written_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("spool.db");
        let (health, _watched) = watch::channel(Health::Sound);
        let database = schema::open(&path).unwrap();
        let mut writer = Writer::new(path, database, health).unwrap();
        let batch = [reserved()];
        writer.write(&batch).unwrap();
        // As if the commit had seemed to fail.
        (writer.commits, writer.database) = (0, None);
        writer.write(&batch).unwrap();
        assert_eq!(writer.commits, 1);
        // A file that is not the one that was written to is left alone.
        (writer.commits, writer.database) = (7, None);
        assert!(matches!(
            writer.write(&batch),
            Err(Error::Other {
                found: 1,
                expected: 7,
                ..
            })
        ));
    }
}
