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
}
