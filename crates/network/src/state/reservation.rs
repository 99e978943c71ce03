//! What is wanted later: a workload that has not begun, or has and ends at an appointed time.

use std::collections::BTreeSet;

use minicbor::{Decode, Encode};
use remuda_types::{ClaimId, ProjectId, Time};

use super::Terms;

/// A workload that is to run from a time on and before another. Known by the workload's id.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct Reservation {
    /// Who pays.
    #[n(0)]
    pub project: ProjectId,
    /// What is wanted; no replica costs more than it did when it was reserved.
    #[n(1)]
    pub terms: Terms,
    /// How many copies.
    #[n(2)]
    pub replicas: u32,
    /// From when on.
    #[n(3)]
    pub from: Time,
    /// Before when: what then still runs ends.
    #[n(4)]
    pub to: Time,
    /// Since when it is reserved.
    #[n(5)]
    pub at: Time,
    /// Whether the workload is deployed.
    #[n(6)]
    pub begun: bool,
    /// What is kept for it.
    #[n(7)]
    pub claims: BTreeSet<ClaimId>,
}

/// How a reservation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(index_only)]
#[serde(rename_all = "kebab-case")]
pub enum ReservationEnd {
    /// Its time is over.
    #[n(0)]
    Over,
    /// Its tenant cancelled it, or what ran ended before its time.
    #[n(1)]
    Cancelled,
    /// When it was to begin the budget could not pay for it.
    #[n(2)]
    Lapsed,
}
