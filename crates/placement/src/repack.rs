//! Replicas that stand where they would not be put today: which of them to move.
//!
//! A move is proposed only when its gain beats what moving costs. The gain is what the replica costs
//! less elsewhere for as long as it is believed to stay, and what it is worth that its node is empty
//! again, so that who asks for a whole one finds it. A replica is served where it is until it is
//! served elsewhere: what it leaves is not free for the moves that are proposed beside its own.
//!
//! Where a replica would go is what [`crate::find`] says; so no move breaks what its request asks,
//! and no two are of one group, whose members must not be beside each other. Nobody pays more for
//! the network's tidiness, and nothing moves to a site that its request shuns. What does not belong
//! here: whether a replica can be moved at all, and the moving.

use std::collections::{BTreeMap, BTreeSet};

use remuda_types::{Money, NodeKey, Price, Span};

use crate::fleet::Fleet;
use crate::place::{Placement, find};
use crate::request::Request;

/// A replica that may be moved, and the hold that it has in the fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held<H, G> {
    /// Whose move it would be; of two moves that gain the same the lower comes first.
    pub handle: H,
    /// Replicas that are to be apart are of one group; one of it moves at a time.
    pub group: G,
    /// What would be asked for it now, away from its siblings.
    pub request: Request,
    /// Where it is.
    pub node: NodeKey,
    /// What it costs there by the hour.
    pub price: Price,
}

/// What moves are weighed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scales {
    /// The most moves at once.
    pub moves: usize,
    /// What a move costs; a gain must be above it.
    pub move_price: Money,
    /// For so long a replica is believed to stay.
    pub horizon: Span,
    /// What it is worth by the hour that a GPU of a node that is empty again can be had together
    /// with the node's others.
    pub emptied: Price,
}

/// A replica that is to move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move<H> {
    /// Which.
    pub handle: H,
    /// From where.
    pub from: NodeKey,
    /// To where.
    pub to: Placement,
    /// What is gained by it, what it costs not taken off.
    pub gain: Money,
}

/// The moves that gain most, each with those before it made; the fleet is as before when this
/// returns.
///
/// Every one of `held` is looked at again after each move: with few of them, and few moves, this is
/// as many searches as both multiplied.
pub fn repack<H: Copy + Ord, G: Copy + Ord>(
    fleet: &mut Fleet,
    held: &[Held<H, G>],
    scales: &Scales,
) -> Vec<Move<H>> {
    let mut round = Round {
        fleet,
        scales,
        moves: Vec::new(),
        moved: BTreeSet::new(),
        leaving: BTreeMap::new(),
        emptied: BTreeSet::new(),
    };
    while round.moves.len() < scales.moves {
        let Some((of, best)) = round.best(held) else {
            break;
        };
        if !round.make(of, best) {
            break;
        }
    }
    round.give_back(held)
}

/// Moves that are being chosen.
struct Round<'a, H, G> {
    fleet: &'a mut Fleet,
    scales: &'a Scales,
    moves: Vec<Move<H>>,
    /// Groups of which one moves.
    moved: BTreeSet<G>,
    /// How many holds each node will lose.
    leaving: BTreeMap<NodeKey, usize>,
    /// Nodes that will be empty.
    emptied: BTreeSet<NodeKey>,
}

impl<H: Copy + Ord, G: Copy + Ord> Round<'_, H, G> {
    /// The move that gains most, if one gains enough.
    fn best<'h>(&mut self, held: &'h [Held<H, G>]) -> Option<(&'h Held<H, G>, Move<H>)> {
        let mut best: Option<(&Held<H, G>, Move<H>)> = None;
        for of in held {
            let Some(one) = self.weighed(of) else {
                continue;
            };
            let is_better = |(_, best): &(&Held<H, G>, Move<H>)| {
                one.gain > best.gain || one.gain == best.gain && one.handle < best.handle
            };
            if best.as_ref().is_none_or(is_better) {
                best = Some((of, one));
            }
        }
        best
    }

    /// One to whose node another moves stays: it is not emptied, and moves in circles end nowhere.
    fn may_move(&self, of: &Held<H, G>) -> bool {
        let is_target = self.moves.iter().any(|made| made.to.node == of.node);
        !is_target && !self.moved.contains(&of.group)
    }

    /// The move of a replica to where it would be put now, if it may move and gains enough.
    fn weighed(&mut self, of: &Held<H, G>) -> Option<Move<H>> {
        if !self.may_move(of) {
            return None;
        }
        let mut request = of.request.clone();
        request.avoid.nodes.insert(of.node);
        request.avoid.nodes.extend(&self.emptied);
        let to = find(self.fleet, &request)?;
        if to.price > of.price || request.shun.contains(&to.site) {
            return None;
        }
        let gain = self.gain(of, &to);
        (gain > self.scales.move_price).then_some(Move {
            handle: of.handle,
            from: of.node,
            to,
            gain,
        })
    }

    fn gain(&self, of: &Held<H, G>, to: &Placement) -> Money {
        let horizon = self.scales.horizon;
        let saved = of.price.for_span(horizon);
        let saved = saved.saturating_sub(to.price.for_span(horizon));
        if !self.empties(of.node, to.node) {
            return saved;
        }
        let gpus = self
            .fleet
            .offer(of.node)
            .map_or(0, |offer| offer.capacity.gpus);
        let whole = self.scales.emptied.scaled_milli(u64::from(gpus) * 1_000);
        saved.saturating_add(whole.for_span(horizon))
    }

    /// Whether a node is empty when one more replica has left it, and none is full for it.
    fn empties(&self, node: NodeKey, to: NodeKey) -> bool {
        let leaving = self.leaving.get(&node).copied().unwrap_or_default();
        self.fleet.hold_count(node) == leaving + 1 && self.fleet.hold_count(to) > 0
    }

    /// Makes a move in the fleet: what it takes is taken, what it leaves is not free yet.
    fn make(&mut self, of: &Held<H, G>, made: Move<H>) -> bool {
        if self.empties(made.from, made.to.node) {
            self.emptied.insert(made.from);
        }
        let to = &made.to;
        let taken = self.fleet.hold_on(to.node, of.request.shape(), to.gpus);
        if !self.fleet.follows(&taken) {
            return false;
        }
        self.moved.insert(of.group);
        *self.leaving.entry(made.from).or_default() += 1;
        self.moves.push(made);
        true
    }

    fn give_back(self, held: &[Held<H, G>]) -> Vec<Move<H>> {
        for made in self.moves.iter().rev() {
            let of = held.iter().find(|of| of.handle == made.handle);
            if let Some(of) = of {
                let (shape, to) = (of.request.shape(), &made.to);
                let released = self.fleet.release_on(to.node, shape, to.gpus);
                self.fleet.follows(&released);
            }
        }
        self.moves
    }
}

#[cfg(test)]
mod tests;
