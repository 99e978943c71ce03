//! The thread that owns the file.

use rusqlite::{Connection, Transaction, params};
use tokio::sync::mpsc;

use super::note::{Billed, Note, Posting, Reserved};
use super::row::{encode, id_blob};
use super::{Broken, Job};
use remuda_routing::Delivery;

/// The most notes of one commit.
const BATCH_MAX: usize = 1_024;

/// Writes until everybody who could hand in notes is gone.
pub(super) fn run(mut database: Connection, mut jobs: mpsc::UnboundedReceiver<Job>) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    let mut sound = true;
    while jobs.blocking_recv_many(&mut batch, BATCH_MAX) > 0 {
        if sound && let Err(error) = commit(&mut database, &batch) {
            tracing::error!(%error, "the spool cannot be written; nothing new is served until a restart");
            sound = false;
        }
        let outcome = if sound { Ok(()) } else { Err(Broken) };
        for job in batch.drain(..) {
            // Who does not wait for it does not need to know.
            job.done.send(outcome).unwrap_or_default();
        }
    }
}

fn commit(database: &mut Connection, batch: &[Job]) -> rusqlite::Result<()> {
    let transaction = database.transaction()?;
    for job in batch {
        apply(&transaction, &job.note)?;
    }
    transaction.commit()
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
