//! What a spool holds when it is opened, and the bills of those whom a crash cut off.

use remuda_routing::Rate;
use remuda_types::{ApiKeyId, Money, ProjectId, RequestId, Time, TrancheId};
use remuda_wire::gateway::PostUsage;
use rusqlite::{Connection, Row, Transaction};

use super::note::{Billed, Note};
use super::row::{Unreadable, decode, id, unsigned};
use super::writer;

/// All that was in hand when the gateway ended.
#[derive(Debug, Default)]
pub(crate) struct Recovered {
    pub(crate) tranches: Vec<Found>,
    /// Bills that no post has summed, in the order they were recorded.
    pub(crate) bills: Vec<Billed>,
    /// The next place in that order.
    pub(crate) next_ordinal: u64,
    /// How many requests the crash cut off.
    pub(crate) cut_off: usize,
}

/// A tranche.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) tranche: TrancheId,
    pub(crate) project: ProjectId,
    pub(crate) standing: Standing,
    pub(crate) acknowledged: u64,
    pub(crate) outstanding: Option<PostUsage>,
}

/// How far a tranche had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Control had been asked for it.
    Asked { amount: Money },
    /// Control had given it.
    Open { left: Money, deadline: Time },
}

#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Database(#[from] rusqlite::Error),
    #[error(transparent)]
    Row(#[from] Unreadable),
}

pub(super) fn recover(database: &mut Connection) -> Result<Recovered, Error> {
    let transaction = database.transaction()?;
    let mut next_ordinal = next_ordinal(&transaction)?;
    let cut_off = requests(&transaction, "ordinal IS NULL")?;
    for open in &cut_off {
        let billed = Billed {
            ordinal: next_ordinal,
            ..open.clone()
        };
        if billed.delivery.bill(billed.rate).is_empty() {
            writer::apply(&transaction, &Note::Free(billed.request))?;
        } else {
            writer::bill(&transaction, &billed)?;
            next_ordinal += 1;
        }
    }
    let bills = requests(&transaction, "ordinal IS NOT NULL AND posted IS NULL")?;
    let tranches = tranches(&transaction)?;
    transaction.commit()?;
    Ok(Recovered {
        tranches,
        bills,
        next_ordinal,
        cut_off: cut_off.len(),
    })
}

fn next_ordinal(from: &Transaction<'_>) -> rusqlite::Result<u64> {
    let next = "SELECT coalesce(max(ordinal), 0) + 1 AS next FROM requests";
    from.query_row(next, [], |row| unsigned(row, "next"))
}

fn requests(from: &Transaction<'_>, which: &str) -> Result<Vec<Billed>, Error> {
    let query = format!("SELECT * FROM requests WHERE {which} ORDER BY ordinal, request");
    let mut statement = from.prepare(&query)?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(request(row)?);
    }
    Ok(found)
}

fn request(row: &Row<'_>) -> Result<Billed, Error> {
    Ok(Billed {
        request: RequestId::from_u128(id(row, "request")?),
        tranche: TrancheId::from_u128(id(row, "tranche")?),
        key: ApiKeyId::from_u128(id(row, "key")?),
        rate: Rate {
            prompt_micros_per_million: unsigned(row, "prompt_rate")?,
            completion_micros_per_million: unsigned(row, "completion_rate")?,
        },
        delivery: decode(&row.get::<_, Vec<u8>>("delivered")?)?,
        ordinal: row
            .get::<_, Option<i64>>("ordinal")?
            .unwrap_or_default()
            .cast_unsigned(),
    })
}

fn tranches(from: &Transaction<'_>) -> Result<Vec<Found>, Error> {
    let mut statement = from.prepare("SELECT * FROM tranches ORDER BY tranche")?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(tranche(row)?);
    }
    Ok(found)
}

fn tranche(row: &Row<'_>) -> Result<Found, Error> {
    let amount = Money::from_micros(row.get("amount")?);
    let settled = Money::from_micros(row.get("settled")?);
    let standing = match row.get::<_, Option<i64>>("deadline")? {
        None => Standing::Asked { amount },
        Some(deadline) => Standing::Open {
            left: amount.saturating_sub(settled),
            deadline: Time::from_millis(deadline.cast_unsigned()),
        },
    };
    let outstanding: Option<Vec<u8>> = row.get("outstanding")?;
    let outstanding = outstanding
        .map(|bytes| minicbor::decode(&bytes))
        .transpose();
    Ok(Found {
        tranche: TrancheId::from_u128(id(row, "tranche")?),
        project: ProjectId::from_u128(id(row, "project")?),
        standing,
        acknowledged: unsigned(row, "acknowledged")?,
        outstanding: outstanding.map_err(|_| Unreadable {
            column: "outstanding",
        })?,
    })
}
