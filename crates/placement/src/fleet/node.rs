//! One node of the fleet: what is held of it, and what that leaves free.

use remuda_types::NodeKey;

use super::error::HoldError;
use crate::amounts::Amounts;
use crate::ask::Ask;
use crate::constraint::Constraint;
use crate::free::{Free, GpuSet};
use crate::pool::{Kind, KindId, PoolId, SlotId};

/// One node of the fleet.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) pool: PoolId,
    pub(crate) kind: KindId,
    /// Where it is in its pool while it is open.
    pub(crate) slot: SlotId,
    pub(crate) open: bool,
    pub(crate) free: Free,
    /// Oldest first.
    pub(crate) holds: Vec<Hold>,
    /// What is kept free of it beside the holds; nothing on most.
    pub(crate) aside: Option<Box<Amounts>>,
}

/// A part of a node that is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hold {
    pub(crate) ask: Ask,
    pub(crate) gpus: GpuSet,
}

impl Node {
    /// What keeps `ask` from being held here.
    pub(crate) fn no_room(&self, node: NodeKey, ask: &Ask) -> HoldError {
        let (free, shape) = (&self.free, ask.shape());
        let short = if !free.has_gpus(ask.gpus()) {
            Constraint::Gpu
        } else if shape.cpu_milli > free.cpu_milli() {
            Constraint::Cpu
        } else if shape.memory_mib > free.memory_mib() {
            Constraint::Memory
        } else if shape.disk_mib > free.disk_mib() {
            Constraint::Disk
        } else {
            Constraint::Gpu
        };
        HoldError::NoRoom { node, short }
    }

    /// How much of it is in use, and how much there is: of its GPUs, or of its CPU where it has
    /// none.
    pub(crate) fn load(&self, kind: &Kind) -> (u128, u128) {
        let capacity = &kind.offering.capacity;
        let gpu_milli = u64::from(capacity.gpus) * 1_000;
        let (free, total) = match gpu_milli {
            0 => (self.free.cpu_milli(), capacity.cpu_milli),
            gpu_milli => (self.free.gpu_milli(), gpu_milli),
        };
        (u128::from(total - free), u128::from(total))
    }

    fn sorted_holds(&self) -> Vec<Hold> {
        let mut holds = self.holds.clone();
        holds.sort_unstable();
        holds
    }
}

/// Alike in what is held and free; pools have other numbers in other fleets.
impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.open == other.open
            && self.free == other.free
            && self.sorted_holds() == other.sorted_holds()
    }
}

impl Eq for Node {}
