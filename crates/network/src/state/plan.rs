//! The plan that placement follows, as it was adopted. How one is made is not known here.

use minicbor::{Decode, Encode};
use remuda_placement::{Plan, Quota};
use remuda_types::Time;
use serde::Serializer;

/// A plan of the whole network: where whom, and what free capacity is kept for.
#[derive(Clone, Debug, PartialEq, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct AdoptedPlan {
    /// Counts plans from 1.
    #[n(0)]
    pub number: u64,
    /// Since when it is followed.
    #[n(1)]
    pub at: Time,
    /// What each kind of demand is to have of each cell.
    #[n(2)]
    #[serde(serialize_with = "length")]
    pub quotas: Vec<Quota>,
    /// What is expected to be asked, and what congestion counts.
    #[n(3)]
    pub packing: Plan,
}

/// There are thousands of them; who reads facts wants to know how many.
fn length<S: Serializer>(quotas: &[Quota], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(quotas.len() as u64)
}
