//! Capacity kept free for when it is called for.

use minicbor::{Decode, Encode};
use remuda_placement::GpuSet;
use remuda_types::{NodeKey, ProviderId, ReplicaId, Shape, SiteId, Time, WorkloadId};

/// Capacity that a workload's replica gets however full the network is: when it loses its node (a
/// warm standby), or when its reservation begins. Until then `spot` may use it, and its provider is
/// paid by whoever does.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct Claim {
    /// For which workload.
    #[n(0)]
    pub workload: WorkloadId,
    /// Where; nowhere while no node was found.
    #[n(1)]
    pub place: Option<Claimed>,
    /// How often a node was looked for in vain.
    #[n(2)]
    pub attempts: u32,
    /// When to look for a node again.
    #[n(3)]
    pub retry: Option<Time>,
    /// The replica that has a lease on it, when it is booked and not only for need.
    #[n(4)]
    #[cbor(default)]
    pub replica: Option<ReplicaId>,
}

/// What a claim keeps free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct Claimed {
    /// On which node.
    #[n(0)]
    pub node: NodeKey,
    /// Whose it is.
    #[n(1)]
    pub provider: ProviderId,
    /// On which site.
    #[n(2)]
    pub site: SiteId,
    /// How much.
    #[n(3)]
    pub shape: Shape,
    /// Which of the node's GPUs, one bit each.
    #[n(4)]
    pub gpu_bits: u64,
    /// Since when.
    #[n(5)]
    pub at: Time,
}

impl Claimed {
    /// Which of the node's GPUs.
    pub const fn gpus(&self) -> GpuSet {
        GpuSet::from_bits(self.gpu_bits)
    }
}
