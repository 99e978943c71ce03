//! Leases.

use remuda_types::{Class, Country, LeaseId, NodeKey, ProjectId, ProviderId, ReplicaId, Shape};
use remuda_types::{SiteId, WorkloadId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::schema;
use super::usd::{Usd, UsdPerHour};

/// Capacity of a node held for one replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Lease {
    /// Its id.
    #[schema(value_type = String)]
    pub id: LeaseId,
    /// For which replica.
    #[schema(value_type = String)]
    pub replica: ReplicaId,
    /// Of which workload.
    #[schema(value_type = String)]
    pub workload: WorkloadId,
    /// Who pays.
    #[schema(value_type = String)]
    pub project: ProjectId,
    /// Where.
    #[schema(value_type = String)]
    pub node: NodeKey,
    /// On which site.
    #[schema(value_type = String)]
    pub site: SiteId,
    /// In which country.
    #[schema(value_type = String)]
    pub country: Country,
    /// Who earns.
    #[schema(value_type = String)]
    pub provider: ProviderId,
    /// The node's kind.
    #[schema(value_type = String)]
    pub class: Class,
    /// What is held.
    #[schema(schema_with = schema::shape)]
    pub shape: Shape,
    /// At what price.
    pub price_usd_per_hour: UsdPerHour,
    /// Advances when the replica moves.
    pub epoch: u64,
    /// `placed`, `preparing`, `starting`, `ready`, `suspect` or `draining`.
    pub phase: String,
    /// Since when.
    pub granted_ms: u64,
    /// The node stops the replica by itself when this passes.
    pub hard_end_ms: u64,
    /// Set aside for the slice that runs.
    pub reserved_usd: Usd,
    /// When that slice is settled.
    pub slice_end_ms: u64,
    /// What that slice came to so far.
    pub accruing: Metered,
}

/// Milliseconds by what they were, and what they come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Metered {
    /// Charged: a probe was served.
    pub ready_ms: u64,
    /// Not charged: before it was ready.
    pub starting_ms: u64,
    /// Not charged: its node was suspect, or its probes failed.
    pub suspect_ms: u64,
    /// Not charged: between the last sign of life and the verdict.
    pub silent_ms: u64,
    /// The price of what is charged.
    pub amount_usd: Usd,
}
