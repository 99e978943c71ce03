//! The fleet, told of holds no sooner than somebody looks.
//!
//! What a command holds is given back before it is decided, and held again when it is committed.
//! Most commands look for a node once and at nothing after it: then what they hold and give back
//! need not be done at all. So a hold or a release waits until the fleet is looked at, and a
//! release that undoes what waits takes it away. What does not belong here: what is held, and why.

use remuda_placement::{DemandClass, Fleet, GpuSet, HoldError, NodeOffer, ReleaseError};
use remuda_types::{NodeKey, Shape};

use super::done;

/// The fleet, and what it is not told of yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct LazyFleet {
    fleet: Fleet,
    waiting: Vec<Change>,
}

#[derive(Clone, Debug, PartialEq)]
struct Change {
    holds: bool,
    node: NodeKey,
    shape: Shape,
    gpus: GpuSet,
    /// What kind of demand it counts as.
    class: Option<DemandClass>,
}

impl LazyFleet {
    /// Holds `shape` on these GPUs of a node that has room for it, of which the caller is sure.
    pub(crate) fn hold(
        &mut self,
        node: NodeKey,
        shape: &Shape,
        gpus: GpuSet,
        class: Option<DemandClass>,
    ) {
        self.change(Change {
            holds: true,
            node,
            shape: *shape,
            gpus,
            class,
        });
    }

    /// Releases what is held of this shape on these GPUs.
    pub(crate) fn release(
        &mut self,
        node: NodeKey,
        shape: &Shape,
        gpus: GpuSet,
        class: Option<DemandClass>,
    ) {
        self.change(Change {
            holds: false,
            node,
            shape: *shape,
            gpus,
            class,
        });
    }

    fn change(&mut self, change: Change) {
        if self.waiting.last().is_some_and(|last| last.undoes(&change)) {
            self.waiting.pop();
        } else {
            self.waiting.push(change);
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

    /// Whether the node takes new replicas, if the fleet has it; holds change nothing of it.
    pub(crate) fn is_open(&self, node: NodeKey) -> Option<bool> {
        self.fleet.is_open(node)
    }
}

impl Change {
    /// What is decided was found possible, so it is. If it were not, the index would differ from
    /// the state; [`crate::invariant::check`] looks for that.
    fn tell(self, fleet: &mut Fleet) {
        let Self {
            node, shape, gpus, ..
        } = self;
        if self.holds {
            let held: Result<(), HoldError> = fleet.hold_on(node, &shape, gpus);
            done(held);
        } else {
            let released: Result<(), ReleaseError> = fleet.release_on(node, &shape, gpus);
            done(released);
        }
        match &self.class {
            Some(class) if self.holds => fleet.count_in(class, node, shape.gpu_milli),
            Some(class) => fleet.count_out(class, node, shape.gpu_milli),
            None => {}
        }
    }

    fn undoes(&self, other: &Self) -> bool {
        self.holds != other.holds
            && (self.node, self.shape, self.gpus) == (other.node, other.shape, other.gpus)
            && self.class == other.class
    }
}

impl PartialEq for LazyFleet {
    fn eq(&self, other: &Self) -> bool {
        self.waiting.is_empty() && other.waiting.is_empty() && self.fleet == other.fleet
    }
}
