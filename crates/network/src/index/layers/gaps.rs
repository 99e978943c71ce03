//! Gaps in what is booked: the nodes with bookings, as one who books sees them.
//!
//! Who books an interval sees of a node what is sold under a promise, standbys, and what is booked at
//! a moment of the interval; of most nodes that is the same whatever the interval. So those nodes are
//! kept in a fleet of their own: before a search, those of which something changed are copied anew,
//! and what is booked is set aside on those where the interval, or the last one, meets a booking.
//! What is kept changes no answer. What does not belong here: who books, and what it costs.

use std::collections::BTreeSet;

use remuda_placement::{Amounts, Fleet, Placement, Request};
use remuda_types::{NodeKey, Time};

use super::{Interval, Layers, copy, drop_node};
use crate::index::{Index, done};

/// So many bookings a node has at most; what is more goes to another.
pub(super) const BOOKINGS_MAX: usize = 4_096;

/// What is kept of the nodes with bookings.
#[derive(Clone, Debug)]
pub(super) struct Gaps {
    fleet: Fleet,
    /// For whom they are as they are.
    seen: Interval,
    /// Those of which something may be booked then.
    met: BTreeSet<NodeKey>,
    /// Those of which something changed since.
    stale: BTreeSet<NodeKey>,
}

impl Default for Gaps {
    fn default() -> Self {
        Self {
            fleet: Fleet::new(),
            seen: (Time::EPOCH, Time::EPOCH),
            met: BTreeSet::new(),
            stale: BTreeSet::new(),
        }
    }
}

/// It follows from the rest, whenever it is looked at.
impl PartialEq for Gaps {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Gaps {
    /// Notes that something of a node changed.
    pub(super) fn note(&mut self, node: NodeKey) {
        self.stale.insert(node);
    }

    /// Sees the nodes as who books this interval does.
    fn look(&mut self, firm: &Fleet, layers: &Layers, interval: Interval) {
        if interval != self.seen {
            let meeting = layers.times.meeting(interval);
            for node in self.met.union(&meeting) {
                if !self.stale.contains(node) && self.fleet.is_open(*node).is_some() {
                    done(self.fleet.set_aside(*node, layers.kept_in(*node, interval)));
                }
            }
            (self.met, self.seen) = (meeting, interval);
        }
        for node in std::mem::take(&mut self.stale) {
            drop_node(&mut self.fleet, node);
            self.met.remove(&node);
            if layers.is_booked(node) {
                layers.copy_gap(&mut self.fleet, firm, (node, interval));
                self.met.insert(node);
            }
        }
    }
}

impl Layers {
    pub(super) fn is_booked(&self, node: NodeKey) -> bool {
        let parts = self.nodes.get(&node);
        parts.is_some_and(|parts| !parts.booked.is_empty())
    }

    /// What of a node is kept from who books this interval.
    fn kept_in(&self, node: NodeKey, (from, to): Interval) -> Amounts {
        let parts = self.nodes.get(&node);
        parts.map_or_else(Amounts::default, |parts| {
            let booked = parts.booked.most_within(from, to);
            booked.plus(&Amounts::of(&parts.standbys))
        })
    }

    /// Adds a node as who books this interval sees it.
    fn copy_gap(&self, to: &mut Fleet, firm: &Fleet, (node, interval): (NodeKey, Interval)) {
        let Some(parts) = self.nodes.get(&node) else {
            return;
        };
        // Without spot, which gives way.
        let from = if parts.spot.is_empty() {
            firm
        } else {
            &self.yielding
        };
        if from.offer(node).is_none() {
            return;
        }
        copy(to, from, node);
        for (shape, gpus) in &parts.begun {
            done(to.release_on(node, shape, *gpus));
        }
        done(to.set_aside(node, self.kept_in(node, interval)));
    }

    /// All nodes with bookings, as who books this interval sees them.
    fn copy_gaps(&self, firm: &Fleet, interval: Interval) -> Fleet {
        let mut all = Fleet::new();
        let booked = self.nodes.keys().filter(|node| self.is_booked(**node));
        for node in booked {
            self.copy_gap(&mut all, firm, (*node, interval));
        }
        all
    }

    /// The nodes that have all the bookings that they may.
    pub(crate) const fn booked_up(&self) -> &BTreeSet<NodeKey> {
        &self.booked_up
    }
}

impl Index {
    /// The best node among those of which something is booked, for who books an interval.
    pub(crate) fn find_gap(&mut self, wanted: &Request, interval: Interval) -> Option<Placement> {
        let firm = self.fleet.now();
        let mut gaps = std::mem::take(&mut self.layers.gaps);
        gaps.look(firm, &self.layers, interval);
        let found = remuda_placement::find(&mut gaps.fleet, wanted);
        self.layers.gaps = gaps;
        found
    }

    /// Whether the nodes with bookings are what they would be if they were copied now, for who looked
    /// last and for who books all time.
    pub(crate) fn has_true_gaps(&self) -> bool {
        let (firm, layers) = (self.fleet.settled(), &self.layers);
        let mut gaps = layers.gaps.clone();
        [gaps.seen, (Time::EPOCH, Time::FOREVER)]
            .into_iter()
            .all(|interval| {
                gaps.look(firm, layers, interval);
                gaps.fleet == layers.copy_gaps(firm, interval)
            })
    }

    /// All nodes that may have room for what is to be booked and not for what is wanted now, copied:
    /// for those who ask why there is no room. The fleet must have been told of everything.
    pub(crate) fn gaps_and_yielding(&self, interval: Interval) -> Fleet {
        let layers = &self.layers;
        let mut all = layers.copy_gaps(self.fleet.settled(), interval);
        for offer in layers.yielding.offers() {
            if all.offer(offer.node).is_none() {
                copy(&mut all, &layers.yielding, offer.node);
                done(all.set_aside(offer.node, layers.kept_in(offer.node, interval)));
            }
        }
        all
    }
}
