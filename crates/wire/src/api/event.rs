//! The feed of events.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A fact, as the journal has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// `seq.ordinal`: resume after it.
    pub id: String,
    /// The journal's number of its record.
    pub seq: u64,
    /// Its place in the record.
    pub ordinal: u64,
    /// When.
    pub at_ms: u64,
    /// As `lease_granted`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The fact; names stand as keyed digests, amounts in micro-USD.
    #[schema(value_type = Object)]
    pub data: serde_json::Value,
}
