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
//! The two small fleets have only nodes on which they see something else than the large one. What does not belong here:
//! which lease gives way, and when a claim is called.

use std::collections::BTreeMap;

use remuda_placement::{
    Amounts, Booking, Calendar, Fleet, GpuSet, HoldError, NodeOffer, OfferError, ReleaseError,
    RemoveError, UnknownNode,
};
use remuda_types::{NodeKey, Shape, Tier, Time, WorkloadId};

use super::{Index, done};
use crate::state::State;

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

/// An amount of a node, and on which GPUs.
pub(crate) type Part = (Shape, GpuSet);

/// Where nodes are seen differently by who asks.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Layers {
    /// The nodes with spot leases, without these.
    pub(crate) yielding: Fleet,
    /// The nodes with claims, without these.
    pub(crate) beneath: Fleet,
    /// What of each such node is held by spot and by claims; nothing where neither is.
    nodes: BTreeMap<NodeKey, Parts>,
}

/// In order, so that equal ones are equal however they came about.
#[derive(Clone, Debug, Default, PartialEq)]
struct Parts {
    spot: Vec<Part>,
    standbys: Vec<Part>,
    booked: Calendar,
    /// Of what is booked, what leases have.
    begun: Vec<Part>,
}

impl Parts {
    fn has_claims(&self) -> bool {
        !(self.standbys.is_empty() && self.booked.is_empty() && self.begun.is_empty())
    }

    /// What is kept for all claims, at the moment when it is most.
    fn claimed(&self) -> Amounts {
        let booked = self.booked.most().beyond(&Amounts::of(&self.begun));
        booked.plus(&Amounts::of(&self.standbys))
    }

    /// What the claims take beyond what spot does.
    fn aside(&self) -> Amounts {
        self.claimed().beyond(&Amounts::of(&self.spot))
    }

    fn keep(&mut self, kept: &Kept) {
        match kept {
            Kept::Standby(part) => put(&mut self.standbys, *part),
            Kept::Booked(booking) => self.booked.book(*booking),
            Kept::Begun(part) => put(&mut self.begun, *part),
        }
    }

    /// Undoes [`Parts::keep`]; says whether it was kept.
    fn unkeep(&mut self, kept: &Kept) -> bool {
        match kept {
            Kept::Standby(part) => take(&mut self.standbys, *part),
            Kept::Booked(booking) => self.booked.cancel(booking),
            Kept::Begun(part) => take(&mut self.begun, *part),
        }
    }
}

fn put(parts: &mut Vec<Part>, part: Part) {
    let at = parts.partition_point(|other| *other < part);
    parts.insert(at, part);
}

fn take(parts: &mut Vec<Part>, part: Part) -> bool {
    let found = parts.binary_search(&part);
    found.map(|at| parts.remove(at)).is_ok()
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

    fn parts(&self, node: NodeKey) -> Parts {
        self.nodes.get(&node).cloned().unwrap_or_default()
    }

    fn set(&mut self, node: NodeKey, parts: Parts) {
        if parts == Parts::default() {
            self.nodes.remove(&node);
        } else {
            self.nodes.insert(node, parts);
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
                for fleet in self.layers.each(node) {
                    done(fleet.release_on(node, shape, gpus));
                }
                Ok(())
            }
            Layer::Spot => self.release_spot(node, (*shape, gpus)),
        }
    }

    fn hold_spot(&mut self, node: NodeKey, part: Part) -> Result<(), HoldError> {
        let before = self.layers.parts(node);
        let mut parts = before.clone();
        put(&mut parts.spot, part);
        if before.spot.is_empty() && self.fleet.offer(node).is_some() {
            copy(&mut self.layers.yielding, self.fleet.now(), node);
            done(self.layers.yielding.set_aside(node, before.claimed()));
        }
        let fleet = self.fleet.now();
        let held = fleet.set_aside(node, parts.aside());
        let held = held.and_then(|()| fleet.hold_on(node, &part.0, part.1));
        if let Err(error) = held {
            if fleet.offer(node).is_some() {
                done(fleet.set_aside(node, before.aside()));
                self.forget_unused(node, &before);
            }
            return Err(error);
        }
        if parts.has_claims() {
            done(self.layers.beneath.hold_on(node, &part.0, part.1));
        }
        self.layers.set(node, parts);
        Ok(())
    }

    fn release_spot(&mut self, node: NodeKey, part: Part) -> Result<(), ReleaseError> {
        let mut parts = self.layers.parts(node);
        if !take(&mut parts.spot, part) {
            return Err(ReleaseError::NotHeld { node });
        }
        self.fleet.now().release_on(node, &part.0, part.1)?;
        done(self.fleet.now().set_aside(node, parts.aside()));
        if parts.has_claims() {
            done(self.layers.beneath.release_on(node, &part.0, part.1));
        }
        self.forget_unused(node, &parts);
        self.layers.set(node, parts);
        Ok(())
    }

    /// Keeps capacity of a node for when it is called for.
    pub(crate) fn keep(&mut self, node: NodeKey, kept: &Kept) -> Result<(), HoldError> {
        let mut parts = self.layers.parts(node);
        parts.keep(kept);
        self.recast(node, parts)
    }

    /// Undoes [`Index::keep`].
    pub(crate) fn unkeep(&mut self, node: NodeKey, kept: &Kept) -> Result<(), HoldError> {
        let mut parts = self.layers.parts(node);
        if parts.unkeep(kept) {
            self.recast(node, parts)
        } else {
            Err(HoldError::SetAside { node })
        }
    }

    /// Has other claims of a node from now on.
    fn recast(&mut self, node: NodeKey, parts: Parts) -> Result<(), HoldError> {
        let before = self.layers.parts(node);
        self.fleet.now().set_aside(node, parts.aside())?;
        if !before.spot.is_empty()
            && let Err(error) = self.layers.yielding.set_aside(node, parts.claimed())
        {
            done(self.fleet.now().set_aside(node, before.aside()));
            return Err(error);
        }
        if parts.has_claims() && !before.has_claims() {
            copy(&mut self.layers.beneath, self.fleet.now(), node);
        }
        self.forget_unused(node, &parts);
        self.layers.set(node, parts);
        Ok(())
    }

    /// The nodes of which something is booked, and as free as they are for what would be booked
    /// from a time on and before another. The fleet must have been told of everything.
    pub(crate) fn gaps(&self, from: Time, to: Time) -> Fleet {
        let mut gaps = Fleet::new();
        let booked = self.layers.nodes.iter();
        for (node, parts) in booked.filter(|(_, parts)| !parts.booked.is_empty()) {
            // Without spot, which gives way.
            let firm = match parts.spot[..] {
                [] => self.fleet.settled(),
                _ => &self.layers.yielding,
            };
            copy(&mut gaps, firm, *node);
            for (shape, gpus) in &parts.begun {
                done(gaps.release_on(*node, shape, *gpus));
            }
            self.refresh_gap(&mut gaps, *node, (from, to));
        }
        gaps
    }

    /// Has one of the [`Index::gaps`] see what is booked by now.
    pub(crate) fn refresh_gap(&self, gaps: &mut Fleet, node: NodeKey, (from, to): (Time, Time)) {
        let parts = self.layers.parts(node);
        let standbys = Amounts::of(&parts.standbys);
        let aside = parts.booked.most_within(from, to).plus(&standbys);
        done(gaps.set_aside(node, aside));
    }

    /// The [`Index::gaps`], and where else spot could give way: all that may have room for what is
    /// to be booked and not for what is wanted now.
    pub(crate) fn gaps_and_yielding(&self, from: Time, to: Time) -> Fleet {
        let mut all = self.gaps(from, to);
        for offer in self.layers.yielding.offers() {
            if all.offer(offer.node).is_none() {
                copy(&mut all, &self.layers.yielding, offer.node);
                let claimed = self.layers.parts(offer.node).claimed();
                done(all.set_aside(offer.node, claimed));
            }
        }
        all
    }

    /// Takes a node out of the small fleets that see no more of it than the large one does.
    fn forget_unused(&mut self, node: NodeKey, parts: &Parts) {
        let layers = &mut self.layers;
        if parts.spot.is_empty() && layers.yielding.offer(node).is_some() {
            drop_node(&mut layers.yielding, node);
        }
        if !parts.has_claims() && layers.beneath.offer(node).is_some() {
            drop_node(&mut layers.beneath, node);
        }
    }

    /// Adds a node, or replaces what a known one offers. On an error nothing changes.
    pub(crate) fn offer(&mut self, offer: &NodeOffer) -> Result<(), OfferError> {
        self.fleet.now().upsert(offer)?;
        for fleet in self.layers.each(offer.node) {
            // These see less as taken than the large one does.
            done(fleet.upsert(offer));
        }
        Ok(())
    }

    /// Opens a node to new replicas, or closes it.
    pub(crate) fn set_open(&mut self, node: NodeKey, open: bool) -> Result<(), UnknownNode> {
        self.fleet.now().set_open(node, open)?;
        for fleet in self.layers.each(node) {
            done(fleet.set_open(node, open));
        }
        Ok(())
    }

    /// Takes a node out of which nothing is held.
    pub(crate) fn remove(&mut self, node: NodeKey) -> Result<NodeOffer, RemoveError> {
        self.fleet.now().remove(node)
    }
}
