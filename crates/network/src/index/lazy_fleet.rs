//! The fleet, told of holds no sooner than somebody looks.
//!
//! What a command holds is given back before it is decided, and held again when it is committed.
//! Most commands look for a node once and at nothing after it: then what they hold and give back
//! need not be done at all. So a hold or a release waits until the fleet is looked at, and a
//! release that undoes what waits takes it away. What does not belong here: what is held, and why.

use remuda_placement::{DemandClass, Fleet, GpuSet, HoldError, NodeOffer, ReleaseError};
use remuda_types::{NodeKey, Shape, SiteId};

use super::done;

/// The fleet, and what it is not told of yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct LazyFleet {
    fleet: Fleet,
    waiting: Vec<Change>,
}

/// What is held, and what is counted of it.
#[derive(Clone, Debug, PartialEq)]
enum What {
    Room(NodeKey, Shape, GpuSet),
    Demand(DemandClass, NodeKey, u64),
}

/// What begins, or ends.
#[derive(Clone, Debug, PartialEq)]
struct Change {
    begins: bool,
    what: What,
}

impl LazyFleet {
    /// Holds `shape` on these GPUs of a node that has room for it, of which the caller is sure.
    pub(crate) fn hold(&mut self, node: NodeKey, shape: &Shape, gpus: GpuSet) {
        self.change(true, What::Room(node, *shape, gpus));
    }

    /// Releases what is held of this shape on these GPUs.
    pub(crate) fn release(&mut self, node: NodeKey, shape: &Shape, gpus: GpuSet) {
        self.change(false, What::Room(node, *shape, gpus));
    }

    /// Counts a replica of this class that is on this node, in thousandths of a GPU.
    pub(crate) fn count_in(&mut self, class: DemandClass, node: NodeKey, gpu_milli: u64) {
        self.change(true, What::Demand(class, node, gpu_milli));
    }

    /// Undoes [`LazyFleet::count_in`].
    pub(crate) fn count_out(&mut self, class: DemandClass, node: NodeKey, gpu_milli: u64) {
        self.change(false, What::Demand(class, node, gpu_milli));
    }

    fn change(&mut self, begins: bool, what: What) {
        let undoes = |last: &Change| last.begins != begins && last.what == what;
        if self.waiting.last().is_some_and(undoes) {
            self.waiting.pop();
        } else {
            self.waiting.push(Change { begins, what });
        }
    }

    /// The fleet as it is, to be looked at and changed.
    pub(crate) fn now(&mut self) -> &mut Fleet {
        for change in self.waiting.drain(..) {
            change.tell(&mut self.fleet);
        }
        &mut self.fleet
    }

    /// The fleet, where nothing waits: between commands.
    pub(crate) fn settled(&self) -> &Fleet {
        debug_assert!(
            self.waiting.is_empty(),
            "the fleet is not told of everything"
        );
        &self.fleet
    }

    /// What the node offers, if the fleet has it; holds change nothing of it.
    pub(crate) fn offer(&self, node: NodeKey) -> Option<NodeOffer> {
        self.fleet.offer(node)
    }

    /// The sites that fail together with this one; holds change nothing of it.
    pub(crate) fn kin_of(&self, site: SiteId) -> impl Iterator<Item = SiteId> + '_ {
        self.fleet.kin_of(site)
    }

    /// Whether the node takes new replicas, if the fleet has it; holds change nothing of it.
    pub(crate) fn is_open(&self, node: NodeKey) -> Option<bool> {
        self.fleet.is_open(node)
    }
}

impl Change {
    /// What is decided was found possible, so it is. If it were not, the index would differ from
    /// the state; [`crate::invariant::check`] looks for that.
    fn tell(self, fleet: &mut Fleet) {
        match self.what {
            What::Room(node, shape, gpus) if self.begins => {
                let held: Result<(), HoldError> = fleet.hold_on(node, &shape, gpus);
                done(held);
            }
            What::Room(node, shape, gpus) => {
                let released: Result<(), ReleaseError> = fleet.release_on(node, &shape, gpus);
                done(released);
            }
            What::Demand(class, node, gpu_milli) if self.begins => {
                fleet.count_in(&class, node, gpu_milli);
            }
            What::Demand(class, node, gpu_milli) => fleet.count_out(&class, node, gpu_milli),
        }
    }
}

impl PartialEq for LazyFleet {
    fn eq(&self, other: &Self) -> bool {
        self.waiting.is_empty() && other.waiting.is_empty() && self.fleet == other.fleet
    }
}
