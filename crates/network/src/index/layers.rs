//! What is held of a node in layers: what was sold under a promise, what was not, and what is kept
//! free for when it is called for.
//!
//! `spot` gives way to the rest and may use what is claimed until it is called. So a node that has
//! both is seen differently by who asks. With what is held firmly, by spot and by claims:
//!
//! | who asks | fleet | sees as taken |
//! |---|---|---|
//! | who takes what is free to all | [`Index::fleet`] | firm and the larger of spot and claims |
//! | who may have spot give way | `yielding`: nodes with spot leases | firm and claims |
//! | spot | `beneath`: nodes with claims | firm and spot |
//!
//! The two small fleets have only nodes on which they see something else than the large one. Who books
//! a time that is to come asks [`gaps`]. What does not belong here: which lease gives way, and when a
//! claim is called.

mod gaps;
mod parts;
mod times;

use std::collections::{BTreeMap, BTreeSet};

use remuda_placement::{
    Amounts, Booking, Fleet, GpuSet, HoldError, NodeOffer, OfferError, ReleaseError, RemoveError,
    UnknownNode,
};
use remuda_types::{NodeKey, Shape, Tier, Time, WorkloadId};

use super::{Index, done};
use crate::state::State;

use gaps::{BOOKINGS_MAX, Gaps};
use parts::{Part, Parts, put, take};
use times::Times;

/// What something is held for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Layer {
    /// A lease that was sold under a promise.
    Firm,
    /// A lease that gives way.
    Spot,
}

/// What is kept of a node for when it is called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// At any time.
    Standby(Part),
    /// From a time on and before another.
    Booked(Booking),
    /// Nothing more, of what is booked: a lease has it.
    Begun(Part),
}

impl Layer {
    /// That of the leases of a tier.
    pub(crate) const fn of(tier: Tier) -> Self {
        match tier {
            Tier::Spot => Self::Spot,
            Tier::Standard | Tier::Enterprise | Tier::MultiSite => Self::Firm,
        }
    }

    /// That of a workload's leases.
    pub(crate) fn of_workload(state: &State, workload: WorkloadId) -> Self {
        let workload = state.workloads.get(&workload);
        workload.map_or(Self::Firm, |workload| Self::of(workload.terms.tier))
    }
}

/// From when on, and before when.
pub(crate) type Interval = (Time, Time);

/// Where nodes are seen differently by who asks.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Layers {
    /// The nodes with spot leases, without these.
    pub(crate) yielding: Fleet,
    /// The nodes with claims, without these.
    pub(crate) beneath: Fleet,
    /// What of each such node is held by spot and by claims; nothing where neither is.
    nodes: BTreeMap<NodeKey, Parts>,
    /// When something is booked where.
    times: Times,
    /// The nodes that have all the bookings that they may.
    booked_up: BTreeSet<NodeKey>,
    gaps: Gaps,
}

/// Adds a node of `from`, as it is there.
fn copy(to: &mut Fleet, from: &Fleet, node: NodeKey) {
    let Some(offer) = from.offer(node) else {
        return;
    };
    done(to.upsert(&offer));
    done(to.set_open(node, from.is_open(node).unwrap_or_default()));
    for (shape, gpus) in from.holds(node) {
        done(to.hold_on(node, &shape, gpus));
    }
}

/// Takes a node out, and all that is held of it.
fn drop_node(fleet: &mut Fleet, node: NodeKey) {
    if fleet.is_open(node).is_none() {
        return;
    }
    for (shape, gpus) in fleet.holds(node).collect::<Vec<_>>() {
        done(fleet.release_on(node, &shape, gpus));
    }
    done(fleet.set_aside(node, Amounts::default()));
    done(fleet.remove(node));
}

impl Layers {
    /// Every node that is in one of the small fleets.
    fn each(&mut self, node: NodeKey) -> impl Iterator<Item = &mut Fleet> {
        let fleets = [&mut self.yielding, &mut self.beneath].into_iter();
        fleets.filter(move |fleet| fleet.is_open(node).is_some())
    }

    /// The nodes of which more can be had for this layer than is free to all.
    pub(crate) const fn of(&self, layer: Layer) -> &Fleet {
        match layer {
            Layer::Spot => &self.beneath,
            Layer::Firm => &self.yielding,
        }
    }

    fn parts(&mut self, node: NodeKey) -> &mut Parts {
        self.nodes.entry(node).or_default()
    }

    /// Keeps nothing of a node of which nothing is held.
    fn tidy(&mut self, node: NodeKey) {
        if self.nodes.get(&node).is_some_and(Parts::is_empty) {
            self.nodes.remove(&node);
        }
    }

    /// Takes note of a booking, or of one that is no more.
    fn note(&mut self, node: NodeKey, kept: &Kept, is_there: bool) {
        self.note_change(node);
        if let Kept::Booked(booking) = kept {
            self.gaps.note(node);
            if is_there {
                self.times.add(node, booking);
            } else {
                self.times.take(node, booking);
            }
            let bookings = self.nodes.get(&node).map_or(0, |parts| parts.booked.len());
            if bookings < BOOKINGS_MAX {
                self.booked_up.remove(&node);
            } else {
                self.booked_up.insert(node);
            }
        }
    }

    /// Takes note that a node with bookings is not what it was.
    fn note_change(&mut self, node: NodeKey) {
        if self.is_booked(node) {
            self.gaps.note(node);
        }
    }
}

impl Index {
    /// Holds capacity of a node, for whatever is of this layer.
    pub(crate) fn hold(
        &mut self,
        node: NodeKey,
        (shape, gpus): (&Shape, GpuSet),
        layer: Layer,
    ) -> Result<(), HoldError> {
        match layer {
            Layer::Firm => {
                self.fleet.hold(node, shape, gpus);
                self.layers.note_change(node);
                for fleet in self.layers.each(node) {
                    done(fleet.hold_on(node, shape, gpus));
                }
                Ok(())
            }
            Layer::Spot => self.hold_spot(node, (*shape, gpus)),
        }
    }

    /// Undoes [`Index::hold`].
    pub(crate) fn release(
        &mut self,
        node: NodeKey,
        (shape, gpus): (&Shape, GpuSet),
        layer: Layer,
    ) -> Result<(), ReleaseError> {
        match layer {
            Layer::Firm => {
                self.fleet.release(node, shape, gpus);
                self.layers.note_change(node);
                for fleet in self.layers.each(node) {
                    done(fleet.release_on(node, shape, gpus));
                }
                Ok(())
            }
            Layer::Spot => self.release_spot(node, (*shape, gpus)),
        }
    }

    fn hold_spot(&mut self, node: NodeKey, part: Part) -> Result<(), HoldError> {
        let is_known = self.fleet.offer(node).is_some();
        let parts = self.layers.parts(node);
        let (is_first, claimed) = (parts.spot.is_empty(), parts.claimed());
        put(&mut parts.spot, part);
        let (aside, has_claims) = (parts.aside(), parts.has_claims());
        if is_first && is_known {
            copy(&mut self.layers.yielding, self.fleet.now(), node);
            done(self.layers.yielding.set_aside(node, claimed));
        }
        let fleet = self.fleet.now();
        let held = fleet.set_aside(node, aside);
        let held = held.and_then(|()| fleet.hold_on(node, &part.0, part.1));
        if held.is_err() {
            take(&mut self.layers.parts(node).spot, part);
            self.set_aside_again(node);
        } else if has_claims {
            done(self.layers.beneath.hold_on(node, &part.0, part.1));
        }
        held
    }

    /// Nothing came of a change: what is set aside of a node is what was before.
    fn set_aside_again(&mut self, node: NodeKey) {
        let aside = self.layers.parts(node).aside();
        if self.fleet.offer(node).is_some() {
            done(self.fleet.now().set_aside(node, aside));
        }
        self.forget_unused(node);
    }

    fn release_spot(&mut self, node: NodeKey, part: Part) -> Result<(), ReleaseError> {
        let not_held = ReleaseError::NotHeld { node };
        let parts = self.layers.nodes.get_mut(&node).ok_or(not_held)?;
        if !take(&mut parts.spot, part) {
            return Err(ReleaseError::NotHeld { node });
        }
        let (aside, has_claims) = (parts.aside(), parts.has_claims());
        let released = self.fleet.now().release_on(node, &part.0, part.1);
        if released.is_err() {
            put(&mut self.layers.parts(node).spot, part);
            return released;
        }
        done(self.fleet.now().set_aside(node, aside));
        if has_claims {
            done(self.layers.beneath.release_on(node, &part.0, part.1));
        }
        self.forget_unused(node);
        Ok(())
    }

    /// Keeps capacity of a node for when it is called for.
    pub(crate) fn keep(&mut self, node: NodeKey, kept: &Kept) -> Result<(), HoldError> {
        self.layers.parts(node).keep(kept);
        let recast = self.recast(node);
        if recast.is_ok() {
            self.layers.note(node, kept, true);
        } else {
            self.layers.parts(node).unkeep(kept);
            self.set_aside_again(node);
        }
        recast
    }

    /// Undoes [`Index::keep`].
    pub(crate) fn unkeep(&mut self, node: NodeKey, kept: &Kept) -> Result<(), HoldError> {
        let parts = self.layers.nodes.get_mut(&node);
        if !parts.is_some_and(|parts| parts.unkeep(kept)) {
            return Err(HoldError::SetAside { node });
        }
        let recast = self.recast(node);
        if recast.is_ok() {
            self.layers.note(node, kept, false);
        } else {
            self.layers.parts(node).keep(kept);
            self.set_aside_again(node);
        }
        recast
    }

    /// Sets aside what the claims of a node take from now on.
    fn recast(&mut self, node: NodeKey) -> Result<(), HoldError> {
        let parts = self.layers.parts(node);
        let (has_spot, has_claims) = (!parts.spot.is_empty(), parts.has_claims());
        let (aside, claimed) = (parts.aside(), parts.claimed());
        self.fleet.now().set_aside(node, aside)?;
        if has_spot {
            self.layers.yielding.set_aside(node, claimed)?;
        }
        if has_claims && self.layers.beneath.is_open(node).is_none() {
            copy(&mut self.layers.beneath, self.fleet.now(), node);
        }
        self.forget_unused(node);
        Ok(())
    }

    /// Takes a node out of the small fleets that see no more of it than the large one does.
    fn forget_unused(&mut self, node: NodeKey) {
        let layers = &mut self.layers;
        let parts = layers.nodes.get(&node);
        if parts.is_none_or(|parts| parts.spot.is_empty()) {
            drop_node(&mut layers.yielding, node);
        }
        if !parts.is_some_and(Parts::has_claims) {
            drop_node(&mut layers.beneath, node);
        }
        layers.tidy(node);
    }

    /// Adds a node, or replaces what a known one offers. On an error nothing changes.
    pub(crate) fn offer(&mut self, offer: &NodeOffer) -> Result<(), OfferError> {
        self.fleet.now().upsert(offer)?;
        self.layers.note_change(offer.node);
        for fleet in self.layers.each(offer.node) {
            // These see less as taken than the large one does.
            done(fleet.upsert(offer));
        }
        Ok(())
    }

    /// Opens a node to new replicas, or closes it.
    pub(crate) fn set_open(&mut self, node: NodeKey, open: bool) -> Result<(), UnknownNode> {
        self.fleet.now().set_open(node, open)?;
        self.layers.note_change(node);
        for fleet in self.layers.each(node) {
            done(fleet.set_open(node, open));
        }
        Ok(())
    }

    /// Takes a node out of which nothing is held.
    pub(crate) fn remove(&mut self, node: NodeKey) -> Result<NodeOffer, RemoveError> {
        self.layers.note_change(node);
        self.fleet.now().remove(node)
    }
}
