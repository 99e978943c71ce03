//! What is wanted as soon as it can be had: a standing order.

use minicbor::{Decode, Encode};
use remuda_types::{ProjectId, Time};

use super::Terms;

/// A workload that is deployed when there is a place for all of it, at what its terms allow. Known by
/// the workload's id.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct StandingOrder {
    /// Who pays.
    #[n(0)]
    pub project: ProjectId,
    /// What is wanted.
    #[n(1)]
    pub terms: Terms,
    /// How many copies, all or none.
    #[n(2)]
    pub replicas: u32,
    /// It lapses then.
    #[n(3)]
    pub until: Time,
    /// Since when it stands.
    #[n(4)]
    pub at: Time,
    /// When it is tried again.
    #[n(5)]
    pub retry: Time,
    /// How often it was tried in vain when it was its turn.
    #[n(6)]
    pub attempts: u32,
}

/// How a standing order ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(index_only)]
#[serde(rename_all = "kebab-case")]
pub enum OrderEnd {
    /// Its workload is deployed.
    #[n(0)]
    Filled,
    /// Its time ran out.
    #[n(1)]
    Lapsed,
    /// Its tenant cancelled it.
    #[n(2)]
    Cancelled,
}
