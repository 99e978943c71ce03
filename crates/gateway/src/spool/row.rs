//! What stands in a row's blobs.

use minicbor::{Decode, Encode};
use remuda_routing::Delivery;
use remuda_routing::meter::Delivered;
use remuda_types::LeaseId;
use rusqlite::Row;

/// A row that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("column {column} cannot be read")]
pub struct Unreadable {
    /// Which column.
    pub(crate) column: &'static str,
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct Stored {
    #[n(0)]
    prompt_tokens: u32,
    #[n(1)]
    parts: Vec<Part>,
    #[n(2)]
    ended_by: Option<LeaseId>,
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct Part {
    #[n(0)]
    lease: LeaseId,
    #[n(1)]
    tokens: u32,
}

pub(super) fn encode(delivery: &Delivery) -> Vec<u8> {
    let part = |part: &Delivered| Part {
        lease: part.lease,
        tokens: part.tokens,
    };
    let stored = Stored {
        prompt_tokens: delivery.prompt_tokens,
        parts: delivery.delivered.iter().map(part).collect(),
        ended_by: delivery.ended_by,
    };
    // Encoding into memory has no error.
    minicbor::to_vec(&stored).unwrap_or_default()
}

pub(super) fn decode(bytes: &[u8]) -> Result<Delivery, Unreadable> {
    let stored: Stored = minicbor::decode(bytes).map_err(|_| Unreadable {
        column: "delivered",
    })?;
    let part = |part: Part| Delivered {
        lease: part.lease,
        tokens: part.tokens,
    };
    Ok(Delivery {
        prompt_tokens: stored.prompt_tokens,
        delivered: stored.parts.into_iter().map(part).collect(),
        ended_by: stored.ended_by,
    })
}

/// An id as it stands in a row.
pub(super) fn id_blob(bits: u128) -> [u8; 16] {
    bits.to_be_bytes()
}

/// Reads an id.
pub(super) fn id(row: &Row<'_>, column: &'static str) -> rusqlite::Result<u128> {
    Ok(u128::from_be_bytes(row.get(column)?))
}

/// Unsigned numbers stand in rows with the same bits.
pub(super) fn unsigned(row: &Row<'_>, column: &'static str) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(column)?.cast_unsigned())
}
