//! Control itself.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Control is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// `ok`.
    pub status: String,
}

/// What control can do. Reads are served even while it cannot write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ready {
    /// Whether commands are taken.
    pub writable: bool,
    /// Why not, and the way out.
    pub why: Option<String>,
}

/// The network, for those who want to join it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NetworkInfo {
    /// Control's iroh endpoint, as nodes and gateways dial it.
    pub endpoint: String,
    /// Its addresses (UDP).
    #[schema(value_type = Vec<String>)]
    pub addresses: Vec<SocketAddr>,
    /// Control's version.
    pub version: String,
    /// The newest durable record.
    pub seq: u64,
    /// Control's clock.
    pub clock_ms: u64,
    /// Whether plain processes may run.
    pub processes_allowed: bool,
    /// The plan that placement follows; none before the first.
    #[serde(default)]
    pub plan: Option<Plan>,
}

/// A plan of the whole network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Plan {
    /// Counts plans from 1.
    pub number: u64,
    /// Since when it is followed.
    pub adopted_ms: u64,
    /// How many pairs of a kind of demand and a place have a quota.
    pub quotas: u64,
    /// How far what is paid for what runs is above the least that anybody could pay for it, in
    /// millionths, certified; null where nothing runs, and after a restart until the next plan.
    pub gap_ppm: Option<u64>,
    /// What is asked and has no quota anywhere, in thousandths of a GPU.
    pub unserved_gpu_milli: Option<u64>,
    /// How long it took to make.
    pub took_ms: Option<u64>,
}
