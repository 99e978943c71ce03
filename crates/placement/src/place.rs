//! Placing one replica, or a group of them all or nothing.
//!
//! Taking the best node for one member after another is exact here, both in whether a group fits
//! and in what it costs in all. Members are alike, and a quote does not depend on how full a node
//! is. Without spread, how many members a node can take does not depend on the other nodes. With
//! spread over owners (or sites) each owner gives one node, its cheapest that fits, and the
//! cheapest owners are taken. A site has one owner ([`crate::Fleet`] refuses another), so owners
//! that differ have sites that differ: both spreads together are the spread over owners.

use std::collections::BTreeMap;

use remuda_types::{NodeKey, Price, ProviderId, SiteId};

use crate::fleet::{Fleet, Node};
use crate::free::{GpuSet, Slack};
use crate::request::{Replicas, Request, Spread};
use crate::unplaced::Unplaced;
use crate::view::{Taken, View};
use crate::why::{TieBreak, Why};

/// Where a replica goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The node.
    pub node: NodeKey,
    /// The node's site.
    pub site: SiteId,
    /// The node's owner.
    pub provider: ProviderId,
    /// Which of the node's GPUs; [`Fleet::hold_on`] takes them.
    pub gpus: GpuSet,
    /// What the replica costs by the hour.
    pub price: Price,
    /// Why there.
    pub why: Why,
}

/// The best node for one replica. Nothing is held yet.
pub fn place(fleet: &Fleet, request: &Request) -> Result<Placement, Unplaced> {
    let search = Search::new(fleet, request);
    search.best().ok_or_else(|| search.explain(0, 1))
}

/// Nodes for all the replicas of a group, in the order of preference, or for none of them. Each
/// member sees the earlier ones as held, and keeps off their owners and sites where the request's
/// spread says so. Nothing is held yet.
pub fn place_group(
    fleet: &Fleet,
    request: &Request,
    replicas: Replicas,
) -> Result<Vec<Placement>, Unplaced> {
    let mut search = Search::new(fleet, request);
    let mut placements = Vec::new();
    for placed in 0..replicas.get() {
        let placement = search
            .best()
            .ok_or_else(|| search.explain(placed, replicas.get()))?;
        search.take_best(&placement);
        placements.push(placement);
    }
    Ok(placements)
}

/// A group on its way.
struct Search<'a> {
    fleet: &'a Fleet,
    request: &'a Request,
    taken: Taken,
    /// Every node that fits the next member, best first.
    candidates: BTreeMap<Rank, &'a Node>,
}

/// The order of preference: the least is the best.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    price: Price,
    slack: Slack,
    node: NodeKey,
}

impl<'a> Search<'a> {
    fn new(fleet: &'a Fleet, request: &'a Request) -> Self {
        let taken = Taken::default();
        let candidates = fleet
            .nodes()
            .filter_map(|node| candidate(request, &taken, node))
            .collect();
        Self {
            fleet,
            request,
            taken,
            candidates,
        }
    }

    fn best(&self) -> Option<Placement> {
        let mut ranked = self.candidates.iter();
        let (rank, node) = ranked.next()?;
        let next = ranked.next().map(|(next, _)| *next);
        let view = View::new(self.request, &self.taken, node);
        Some(Placement {
            node: view.offer.node,
            site: view.offer.site,
            provider: view.offer.provider,
            gpus: view.free.choose(self.request.ask.gpus())?,
            price: rank.price,
            why: Why {
                considered: self.fleet.len(),
                fit: self.candidates.len(),
                above_cheapest: Price::default(),
                next_best: next.map(|next| next.price),
                tie: rank.tie_with(next),
                distance_km: view.distance_km().map(rounded_km),
            },
        })
    }

    /// Counts the best node's placement as held. It alone has less now; others can only drop out,
    /// and only where replicas are spread.
    fn take_best(&mut self, placement: &Placement) {
        let Some((_, node)) = self.candidates.pop_first() else {
            return;
        };
        let (request, taken) = (self.request, &mut self.taken);
        taken.owners.insert(placement.provider);
        taken.sites.insert(placement.site);
        let left = View::new(request, taken, node)
            .free
            .minus(&request.ask, placement.gpus);
        taken.left.extend(left.map(|left| (placement.node, left)));
        self.candidates.extend(candidate(request, taken, node));
        if request.spread != Spread::default() {
            self.candidates
                .retain(|_, node| View::new(request, taken, node).fits());
        }
    }

    fn explain(&self, placed: u32, replicas: u32) -> Unplaced {
        let views = || {
            self.fleet
                .nodes()
                .map(|node| View::new(self.request, &self.taken, node))
        };
        Unplaced::explain(self.request, placed, replicas, views)
    }
}

fn candidate<'a>(request: &Request, taken: &Taken, node: &'a Node) -> Option<(Rank, &'a Node)> {
    let view = View::new(request, taken, node);
    view.fits().then(|| (Rank::of(&view), node))
}

impl Rank {
    fn of(view: &View<'_>) -> Self {
        Self {
            price: view.quote(),
            slack: view.free.slack(),
            node: view.offer.node,
        }
    }

    fn tie_with(&self, next: Option<Self>) -> TieBreak {
        match next {
            Some(next) if (next.price, next.slack) == (self.price, self.slack) => {
                TieBreak::LowestKey
            }
            Some(next) if next.price == self.price => TieBreak::TightestFit,
            Some(_) | None => TieBreak::Untied,
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a distance on the Earth is between 0 and 20,100 km"
)]
fn rounded_km(distance_km: f64) -> u32 {
    distance_km.round() as u32
}
