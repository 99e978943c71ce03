//! Nodes, and what of them could be rented now.

use remuda_types::{Capacity, Class, Country, LeaseId, NodeKey, ProviderId, SiteId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::schema;
use super::usd::UsdPerHour;

/// A machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Node {
    /// Its key.
    #[schema(value_type = String)]
    pub id: NodeKey,
    /// Its owner.
    #[schema(value_type = String)]
    pub provider: ProviderId,
    /// Where it stands.
    #[schema(value_type = String)]
    pub site: SiteId,
    /// In which country.
    #[schema(value_type = String)]
    pub country: Country,
    /// Its kind.
    #[schema(value_type = String)]
    pub class: Class,
    /// What it has in all.
    #[schema(schema_with = schema::capacity)]
    pub capacity: Capacity,
    /// What of it is not held.
    pub free: Free,
    /// Price of the whole node.
    pub price_usd_per_hour: UsdPerHour,
    /// `away`, `up`, `suspect`, `draining`, `lost` or `left`.
    pub presence: String,
    /// Since when it is that.
    pub since_ms: u64,
    /// Since when it belongs to the network.
    pub enrolled_ms: u64,
    /// Its live leases.
    #[schema(value_type = Vec<String>)]
    pub leases: Vec<LeaseId>,
}

/// What is not held of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Free {
    /// GPUs of which nothing is held.
    pub whole_gpus: u32,
    /// Thousandths of GPUs, over all of them.
    pub gpu_milli: u64,
    /// Thousandths of CPU cores.
    pub cpu_milli: u64,
    /// Main memory in MiB.
    pub memory_mib: u64,
    /// Disk in MiB.
    pub disk_mib: u64,
}

/// A node that takes leases now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Offer {
    /// The node.
    #[schema(value_type = String)]
    pub node: NodeKey,
    /// Its owner.
    #[schema(value_type = String)]
    pub provider: ProviderId,
    /// Its owner's name.
    pub provider_name: String,
    /// Where it stands.
    #[schema(value_type = String)]
    pub site: SiteId,
    /// In which country.
    #[schema(value_type = String)]
    pub country: Country,
    /// Its kind.
    #[schema(value_type = String)]
    pub class: Class,
    /// Memory of each of its GPUs, in MiB.
    pub gpu_memory_mib: u64,
    /// What could be had of it now.
    pub free: Free,
    /// Price of the whole node; a part costs its largest share of GPUs, CPU, memory or disk.
    pub price_usd_per_hour: UsdPerHour,
}
