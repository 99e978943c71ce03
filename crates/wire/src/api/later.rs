//! What is wanted later: standing orders and reservations. Both are known by the id of the workload
//! that they become.

use remuda_types::{ProjectId, WorkloadId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{UsdPerHour, WorkloadSpec};

/// Asks for a workload that is deployed when there is room for all of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlaceOrder {
    /// What is wanted; `placement.max_price_usd_per_hour` says at what price.
    pub workload: WorkloadSpec,
    /// It lapses then.
    pub until_ms: u64,
}

/// A standing order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StandingOrder {
    /// Its id, and the workload's when it is filled.
    #[schema(value_type = String)]
    pub id: WorkloadId,
    /// Who pays.
    #[schema(value_type = String)]
    pub project: ProjectId,
    /// The workload's name; no other may have it meanwhile.
    pub name: String,
    /// `standing`, or `filled` where there was room at once.
    pub state: String,
    /// What is wanted; null when its tenant was erased.
    pub workload: Option<WorkloadSpec>,
    /// Since when.
    pub created_ms: u64,
    /// It lapses then; null when it is filled.
    pub until_ms: Option<u64>,
    /// When it is tried again; null when it is filled.
    pub retry_ms: Option<u64>,
    /// How often it was tried in vain.
    pub attempts: u32,
    /// Why it waits, as things are now; null when it is filled, and where a page shows many orders.
    #[serde(default)]
    pub why: Option<String>,
    /// The smallest single change that would give one more copy a place, if one would.
    #[serde(default)]
    pub way_out: Option<String>,
}

/// Asks for capacity from a time on and before another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reserve {
    /// What is to run.
    pub workload: WorkloadSpec,
    /// From when on.
    pub from_ms: u64,
    /// Before when.
    pub to_ms: u64,
}

/// Capacity that is kept for a workload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Reservation {
    /// Its id, and the workload's when it begins.
    #[schema(value_type = String)]
    pub id: WorkloadId,
    /// Who pays.
    #[schema(value_type = String)]
    pub project: ProjectId,
    /// The workload's name; no other may have it meanwhile.
    pub name: String,
    /// `reserved`, or `begun` once the workload is deployed.
    pub state: String,
    /// What is to run; null when its tenant was erased.
    pub workload: Option<WorkloadSpec>,
    /// Since when it is reserved.
    pub created_ms: u64,
    /// From when on.
    pub from_ms: u64,
    /// Before when.
    pub to_ms: u64,
    /// The most that one copy will cost by the hour, in dollars.
    pub max_price_usd_per_hour: Option<UsdPerHour>,
    /// For how many of its copies a place is kept now.
    pub places: u32,
}
