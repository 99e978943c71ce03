//! What is wanted: models, terms, workloads and their replicas.

use std::collections::BTreeSet;

use minicbor::{Decode, Encode};
use remuda_placement::Near;
use remuda_types::{
    Class, Country, Digest, Label, LeaseId, Price, ProjectId, ReplicaId, Shape, Share, Tier, Time,
    Together, WorkloadId, WorkloadKind,
};

use super::EndReason;

/// A model that may be deployed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct Model {
    /// BLAKE3 of its weights' file.
    #[n(0)]
    pub digest: Digest,
    /// The file's size.
    #[n(1)]
    pub bytes: u64,
}

/// What a tenant asked for: the part of its spec that decisions need.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct Terms {
    /// What kind of thing.
    #[n(0)]
    pub kind: WorkloadKind,
    /// Its name.
    #[n(1)]
    pub label: Label,
    /// Keyed digest of the whole spec, which lies beside the journal.
    #[n(2)]
    pub spec: Label,
    /// The promise.
    #[n(3)]
    pub tier: Tier,
    /// What each replica asks of its node.
    #[n(4)]
    pub shape: Shape,
    /// Acceptable classes; empty is any.
    #[n(5)]
    pub classes: Vec<Class>,
    /// Acceptable countries; empty is any.
    #[n(6)]
    pub countries: Vec<Country>,
    /// The most a replica may cost an hour.
    #[n(7)]
    pub max_price: Option<Price>,
    /// Near a place.
    #[n(8)]
    pub near: Option<Near>,
    /// Token prices, when it is a model.
    #[n(9)]
    pub tokens: Option<TokenPrices>,
    /// The weights, when it is a model: those that its name stood for when it was deployed.
    #[n(10)]
    pub model: Option<Model>,
    /// Whether its replicas must stand together.
    #[n(11)]
    #[cbor(default)]
    pub together: Together,
    /// The most of its replicas that one owner may have; without it what the tier says.
    #[n(12)]
    pub max_owner_share: Option<Share>,
    /// The most of its replicas that one site may have; without it what the tier says.
    #[n(13)]
    pub max_site_share: Option<Share>,
}

/// What tokens of a model cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct TokenPrices {
    /// Micro-USD for a million prompt tokens.
    #[n(0)]
    pub prompt_micros_per_million: u64,
    /// Micro-USD for a million completion tokens.
    #[n(1)]
    pub completion_micros_per_million: u64,
}

/// What a tenant wants run.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct Workload {
    /// Whose.
    #[n(0)]
    pub project: ProjectId,
    /// What was asked for.
    #[n(1)]
    pub terms: Terms,
    /// Since when.
    #[n(2)]
    pub created: Time,
    /// Its copies.
    #[n(3)]
    pub replicas: BTreeSet<ReplicaId>,
    /// Set when its tenant stopped it or its last program ended well: gone when its last lease is.
    #[n(4)]
    pub stopping: bool,
    /// Whether it was ordered: it is what the order of its id became.
    #[n(5)]
    #[cbor(default)]
    pub ordered: bool,
}

impl Workload {
    /// How many replicas it has in all.
    pub fn replica_count(&self) -> u32 {
        u32::try_from(self.replicas.len()).unwrap_or(u32::MAX)
    }
}

/// One copy of a workload; it moves from lease to lease.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct Replica {
    /// Of what.
    #[n(0)]
    pub workload: WorkloadId,
    /// The lease it has; none while no node was found.
    #[n(1)]
    pub lease: Option<LeaseId>,
    /// The lease it moves to: its node drains.
    #[n(2)]
    pub successor: Option<LeaseId>,
    /// Advances with every lease: whoever holds an older one is fenced off.
    #[n(3)]
    pub epoch: u64,
    /// Leases granted and nodes looked for in vain since it was last ready.
    #[n(4)]
    pub attempts: u32,
    /// When to look for a node again.
    #[n(5)]
    pub retry: Option<Time>,
    /// How its last lease ended.
    #[n(6)]
    pub last_end: Option<EndReason>,
}
