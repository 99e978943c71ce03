//! Why the fleet refuses a change.

use remuda_types::{NodeKey, ProviderId, SiteId};

use crate::constraint::Constraint;
use crate::free::GpuSet;
use crate::request::RequestError;

/// The fleet does not have this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not in the fleet: upsert its offer first")]
pub struct UnknownNode(pub NodeKey);

/// Why an offer is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OfferError {
    /// More GPUs than one node may have.
    #[error("gpus is {gpus}: one node has at most {limit}", limit = GpuSet::MAX_GPUS)]
    TooManyGpus {
        /// What was offered.
        gpus: u32,
    },
    /// The site belongs to another provider.
    #[error(
        "{site} belongs to {owner}: a site has one owner, so offer the node under a site of its own"
    )]
    SiteOfAnother {
        /// The site.
        site: SiteId,
        /// Its owner.
        owner: ProviderId,
    },
    /// The new capacity has no room for what is held.
    #[error("{node} would have less than what its {holds} holds take: release them first")]
    LessThanHeld {
        /// The node.
        node: NodeKey,
        /// How many holds it has.
        holds: usize,
    },
}

/// Why a node is not removed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemoveError {
    /// It is not there.
    #[error(transparent)]
    Unknown(#[from] UnknownNode),
    /// Something is held of it.
    #[error("{node} still has {holds} holds: release them first")]
    StillHeld {
        /// The node.
        node: NodeKey,
        /// How many holds it has.
        holds: usize,
    },
}

/// Why a shape is not held.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HoldError {
    /// The node is not there.
    #[error(transparent)]
    Unknown(#[from] UnknownNode),
    /// The shape is wrong on any node.
    #[error(transparent)]
    Shape(#[from] RequestError),
    /// The node does not have it free, or not on the GPUs named.
    #[error("{node} has too little {short} free: place again")]
    NoRoom {
        /// The node.
        node: NodeKey,
        /// What is short: `Gpu`, `Cpu`, `Memory` or `Disk`.
        short: Constraint,
    },
    /// The node does not have free what is to be set aside.
    #[error("{node} has less free than is to be set aside: release what is in the way first")]
    SetAside {
        /// The node.
        node: NodeKey,
    },
    /// The GPUs named are not as many as the shape asks.
    #[error("{named} GPUs are named where the shape asks for {asked}: name those of the placement")]
    GpuCount {
        /// How many were named.
        named: u32,
        /// How many the shape touches.
        asked: u64,
    },
}

/// Why nothing is released.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReleaseError {
    /// The node is not there.
    #[error(transparent)]
    Unknown(#[from] UnknownNode),
    /// No such hold.
    #[error("{node} has no such hold: release the shape, and the GPUs, that were held")]
    NotHeld {
        /// The node.
        node: NodeKey,
    },
}
