//! Workloads as they are: their replicas, where those are, and why there.

use remuda_types::{
    Country, LeaseId, NodeKey, ProjectId, ProviderId, ReplicaId, SiteId, WorkloadId,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::WorkloadSpec;
use super::usd::UsdPerHour;

/// A workload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Workload {
    /// Its id.
    #[schema(value_type = String)]
    pub id: WorkloadId,
    /// Whose.
    #[schema(value_type = String)]
    pub project: ProjectId,
    /// Its name.
    pub name: String,
    /// `service`, `model`, `job`, `machine` or `session`.
    pub kind: String,
    /// `running` or `stopping`.
    pub state: String,
    /// Since when.
    pub created_ms: u64,
    /// What was asked for; null when its tenant was erased.
    pub spec: Option<WorkloadSpec>,
    /// Its copies.
    pub replicas: Vec<Replica>,
    /// Why those that wait have no place, as things are now; only where one workload was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_waiting: Option<String>,
}

/// A copy of a workload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Replica {
    /// Its id.
    #[schema(value_type = String)]
    pub id: ReplicaId,
    /// `placed`, `preparing`, `starting`, `ready`, `suspect`, `draining`, or `waiting` while no
    /// node was found.
    pub phase: String,
    /// Where it is; null while it waits.
    pub placement: Option<Placement>,
    /// Where it moves to, while it does.
    pub successor: Option<Placement>,
    /// Attempts since it was last ready.
    pub attempts: u32,
    /// When a node is looked for again.
    pub retry_ms: Option<u64>,
    /// How its last lease ended: `node-lost`, `crashed`, `out-of-memory`, …
    pub last_end: Option<String>,
    /// Who answers for that end.
    pub fault: Option<String>,
}

/// Where a replica is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Placement {
    /// The lease.
    #[schema(value_type = String)]
    pub lease: LeaseId,
    /// The node.
    #[schema(value_type = String)]
    pub node: NodeKey,
    /// The node's site.
    #[schema(value_type = String)]
    pub site: SiteId,
    /// The site's country.
    #[schema(value_type = String)]
    pub country: Country,
    /// The node's owner.
    #[schema(value_type = String)]
    pub provider: ProviderId,
    /// Its name.
    pub provider_name: String,
    /// What the replica costs.
    pub price_usd_per_hour: UsdPerHour,
    /// How far the lease is.
    pub phase: String,
    /// Advances when the replica moves.
    pub epoch: u64,
    /// Why there; only in the answer to the request that placed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Asks for more or fewer copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScaleWorkload {
    /// How many there are to be; at least 1.
    pub replicas: u32,
}

/// What a replica's last run printed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Logs {
    /// Whose.
    #[schema(value_type = String)]
    pub replica: ReplicaId,
    /// Under which lease.
    #[schema(value_type = String)]
    pub lease: LeaseId,
    /// Oldest first.
    pub lines: Vec<String>,
}
