//! Why a replica is where it is: data that reads as a sentence.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Formatter};
use std::rc::Rc;

use remuda_types::{NodeKey, Price, SiteId};

use crate::congestion;
use crate::fleet::Fleet;
use crate::free::{Free, Slack};
use crate::pool::{Offering, Pool};
use crate::request::{Replicas, Request, Together};
use crate::text::Usd;
use crate::view::{Taken, admits, distance_km, keeps_away, shuns, suits};
use crate::worth::{Loss, Outlook};

/// No price at all.
const FREE: Price = Price::from_micros_per_hour(0);

/// Why this node. `cheapest of 14 that fit of 412; next best 2.10 USD/h; packed onto the fullest`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Why {
    /// How many nodes were looked at: all of the fleet.
    pub considered: usize,
    /// How many of them fit, this one included.
    pub fit: usize,
    /// How many of those that fit are at sites that fail together with where its siblings are, or
    /// are shunned for another reason: the others came first.
    pub shunned: usize,
    /// How much more than the cheapest that fits it costs by the hour: what congestion made of it,
    /// or that it is not shunned.
    pub above_cheapest: Price,
    /// What the best of the others costs by the hour, if any other fits.
    pub next_best: Option<Price>,
    /// What told it from others of the same price.
    pub tie: TieBreak,
    /// Kilometres from the place asked, rounded, if one was.
    pub distance_km: Option<u32>,
}

/// What told the node chosen from others of the same price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TieBreak {
    /// Nothing had to: no other that fits has this price.
    Untied,
    /// It loses least for what is expected.
    LeastLoss,
    /// It is the fullest: the least is left over.
    TightestFit,
    /// As full as another; it has the lower key.
    LowestKey,
}

/// Where the replicas of a group would go, one after another, and why there: of as many as have a
/// place.
///
/// What [`crate::place_group`] finds by what it remembers, this finds by looking at every state
/// that nodes are in; so it can say what else there was. Members on one fabric have no reasons of
/// their own: none are given, nor are they where a plan's quota says where to go.
pub fn whys(fleet: &Fleet, request: &Request, replicas: Replicas) -> Vec<(NodeKey, Why)> {
    if request.together == Together::Fabric || fleet.quotas.steer(request) {
        return Vec::new();
    }
    let mut search = Search::new(fleet, request);
    let next = |_| search.next();
    (0..replicas.get()).map_while(next).collect()
}

/// A group on its way.
struct Search<'a> {
    fleet: &'a Fleet,
    request: &'a Request,
    taken: Taken,
    /// What is in use of each cell that took a member, and how much there is.
    loads: BTreeMap<usize, (u128, u128)>,
    /// Every state that has room, by its lowest key; and the nodes that have taken a member.
    fits: BTreeMap<Fit, Candidate<'a>>,
}

/// What a node is preferred by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Fit {
    shunned: bool,
    cost: u64,
    loss: Loss,
    slack: Slack,
    free: Free,
    node: NodeKey,
}

/// A node that fits, and those after it that are alike.
struct Candidate<'a> {
    pool: &'a Pool,
    offering: &'a Offering,
    outlook: Rc<Outlook>,
    more: Vec<NodeKey>,
}

impl<'a> Search<'a> {
    fn new(fleet: &'a Fleet, request: &'a Request) -> Self {
        let mut search = Self {
            fleet,
            request,
            taken: Taken::default(),
            loads: BTreeMap::new(),
            fits: BTreeMap::new(),
        };
        let goes_there = |pool: &&Pool| {
            let common = &pool.common;
            admits(request, common) && !keeps_away(request, &Taken::default(), common)
        };
        for pool in fleet.stock.pools.iter().filter(goes_there) {
            search.offer_all(pool);
        }
        search
    }

    fn offer_all(&mut self, pool: &'a Pool) {
        let (request, plan) = (self.request, self.fleet.stock.plan());
        let mut outlooks = BTreeMap::new();
        for slot in pool.slots() {
            let offering = &pool.kind(slot.kind).offering;
            if !suits(request, offering) {
                continue;
            }
            let memory_mib = offering.capacity.gpu_memory_mib;
            let new = || Rc::new(plan.outlook(pool.common.class, memory_mib));
            let outlook = Rc::clone(outlooks.entry(memory_mib).or_insert_with(new));
            let wanted = |node: &NodeKey| !request.avoid.nodes.contains(node);
            let candidate = Candidate {
                pool,
                offering,
                outlook,
                // Descending, so that the lowest comes off first.
                more: slot.nodes.iter().rev().filter(wanted).collect(),
            };
            self.offer(slot.free.clone(), candidate);
        }
    }

    /// Puts the nodes of a candidate that are free like this up for choice, the lowest first.
    fn offer(&mut self, free: Free, mut candidate: Candidate<'a>) {
        if !free.has_room(&self.request.ask) {
            return;
        }
        if let Some(node) = candidate.more.pop() {
            let fit = self.fit(free, node, &candidate);
            self.fits.insert(fit, candidate);
        }
    }

    fn fit(&self, free: Free, node: NodeKey, candidate: &Candidate<'a>) -> Fit {
        let (outlook, shape) = (&candidate.outlook, self.request.shape());
        let (used, total) = self.load(candidate.pool.cell);
        let step = congestion::step(used, total);
        Fit {
            shunned: shuns(self.request, &self.taken, candidate.pool.common.site),
            cost: self.fleet.stock.cost_at(step, candidate.offering, shape),
            loss: outlook.loss(outlook.value(&free), &free, &self.request.ask),
            slack: free.slack(),
            free,
            node,
        }
    }

    fn load(&self, cell: usize) -> (u128, u128) {
        let changed = self.loads.get(&cell).copied();
        changed.unwrap_or_else(|| self.fleet.stock.load(cell))
    }

    fn next(&mut self) -> Option<(NodeKey, Why)> {
        let (request, taken) = (self.request, &self.taken);
        if request.spreads() {
            self.fits
                .retain(|_, candidate| !keeps_away(request, taken, &candidate.pool.common));
        }
        let (fit, candidate) = self.fits.pop_first()?;
        let why = self.why(&fit, &candidate);
        self.take(&fit, candidate);
        Some((fit.node, why))
    }

    fn take(&mut self, fit: &Fit, candidate: Candidate<'a>) {
        let common = &candidate.pool.common;
        if self.request.spreads() {
            self.taken.members.add(common.provider, common.site);
            self.shun_kin(common.site);
        }
        self.fill(&candidate);
        let ask = &self.request.ask;
        let gpus = fit.free.choose(ask.gpus());
        if let Some(left) = gpus.and_then(|gpus| fit.free.minus(ask, gpus)) {
            let outlook = Rc::clone(&candidate.outlook);
            let more = vec![fit.node];
            let same = Candidate {
                outlook,
                more,
                ..candidate
            };
            self.offer(left.sorted(), same);
        }
        self.offer(fit.free.clone(), candidate);
    }

    /// From now on what fails together with this site comes last.
    fn shun_kin(&mut self, site: SiteId) {
        let kin: BTreeSet<_> = self.fleet.kin.of(site).collect();
        let are_kin = |_: &Fit, of: &mut Candidate<'a>| kin.contains(&of.pool.common.site);
        let those: Vec<_> = self.fits.extract_if(.., are_kin).collect();
        self.taken.kin.extend(&kin);
        for (fit, candidate) in those {
            let shunned = true;
            self.fits.insert(Fit { shunned, ..fit }, candidate);
        }
    }

    /// Counts a member into the load of its cell, and weighs what is left there anew if that
    /// changed what it counts as.
    fn fill(&mut self, candidate: &Candidate<'a>) {
        let (cell, shape) = (candidate.pool.cell, self.request.shape());
        let (used, total) = self.load(cell);
        let has_gpus = candidate.offering.capacity.gpus > 0;
        let more = if has_gpus {
            shape.gpu_milli
        } else {
            shape.cpu_milli
        };
        let filled = used + u128::from(more);
        self.loads.insert(cell, (filled, total));
        if congestion::step(used, total) != congestion::step(filled, total) {
            let is_there = |_: &Fit, there: &mut Candidate<'a>| there.pool.cell == cell;
            let there: Vec<_> = self.fits.extract_if(.., is_there).collect();
            for (old, candidate) in there {
                let fit = self.fit(old.free, old.node, &candidate);
                self.fits.insert(fit, candidate);
            }
        }
    }

    fn why(&self, fit: &Fit, candidate: &Candidate<'_>) -> Why {
        let quote = |of: &Candidate<'_>| of.offering.quote(self.request.shape());
        let others = || self.fits.values();
        let alike = |node: &NodeKey| Fit {
            node: *node,
            ..fit.clone()
        };
        let next = candidate.more.last().map(alike);
        let next = next.map(|next| (next, quote(candidate)));
        let first = self.fits.first_key_value();
        let first = first.map(|(fit, candidate)| (fit.clone(), quote(candidate)));
        let next = next.into_iter().chain(first).min();
        let price = quote(candidate);
        let cheapest = others().map(quote).fold(price, Price::min);
        let above = price.micros_per_hour() - cheapest.micros_per_hour();
        let nodes = |of: &Candidate<'_>| 1 + of.more.len();
        let all = || self.fits.iter().chain([(fit, candidate)]);
        let shunned = all().filter(|(fit, _)| fit.shunned);
        Why {
            considered: self.fleet.len(),
            fit: all().map(|(_, of)| nodes(of)).sum(),
            shunned: shunned.map(|(_, of)| nodes(of)).sum(),
            above_cheapest: Price::from_micros_per_hour(above),
            next_best: next.as_ref().map(|(_, price)| *price),
            tie: fit.tie_with(next.as_ref().map(|(next, _)| next)),
            distance_km: distance_km(self.request, &candidate.pool.common).map(rounded_km),
        }
    }
}

impl Fit {
    fn tie_with(&self, next: Option<&Self>) -> TieBreak {
        match next {
            Some(next) if (next.shunned, next.cost) != (self.shunned, self.cost) => {
                TieBreak::Untied
            }
            Some(next) if next.loss != self.loss => TieBreak::LeastLoss,
            Some(next) if (next.slack, &next.free) != (self.slack, &self.free) => {
                TieBreak::TightestFit
            }
            Some(_) => TieBreak::LowestKey,
            None => TieBreak::Untied,
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

impl Display for Why {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            considered, fit, ..
        } = self;
        match (fit, self.above_cheapest) {
            (1, _) => write!(f, "the only one that fits of {considered}")?,
            (_, FREE) => write!(f, "cheapest of {fit} that fit of {considered}")?,
            (_, above) => write!(
                f,
                "{} over the cheapest of {fit} that fit of {considered}",
                Usd(above)
            )?,
        }
        if let Some(next) = self.next_best {
            write!(f, "; next best {}", Usd(next))?;
        }
        f.write_str(match self.tie {
            TieBreak::Untied => "",
            TieBreak::LeastLoss => "; leaves most for what is expected",
            TieBreak::TightestFit => "; packed onto the fullest",
            TieBreak::LowestKey => "; as full as another, with the lower key",
        })?;
        match self.shunned {
            0 => {}
            all if all == self.fit => f.write_str("; no other is apart from its siblings")?,
            some => write!(f, "; {some} of them may fail together with its siblings")?,
        }
        self.distance_km
            .map_or(Ok(()), |km| write!(f, "; {km} km away"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHY: Why = Why {
        considered: 412,
        fit: 14,
        shunned: 0,
        above_cheapest: Price::from_micros_per_hour(0),
        next_best: Some(Price::from_micros_per_hour(2_100_000)),
        tie: TieBreak::TightestFit,
        distance_km: None,
    };

    #[test]
    fn it_reads_as_a_sentence() {
        assert_eq!(
            WHY.to_string(),
            "cheapest of 14 that fit of 412; next best 2.10 USD/h; packed onto the fullest",
        );
        let alone = Why {
            fit: 1,
            next_best: None,
            tie: TieBreak::Untied,
            distance_km: Some(120),
            ..WHY
        };
        assert_eq!(
            alone.to_string(),
            "the only one that fits of 412; 120 km away"
        );
        let dearer = Why {
            above_cheapest: Price::from_micros_per_hour(50_000),
            tie: TieBreak::LowestKey,
            ..WHY
        };
        assert_eq!(
            dearer.to_string(),
            "0.05 USD/h over the cheapest of 14 that fit of 412; next best 2.10 USD/h; \
             as full as another, with the lower key",
        );
        let apart = Why { shunned: 3, ..WHY };
        assert_eq!(
            apart.to_string(),
            "cheapest of 14 that fit of 412; next best 2.10 USD/h; packed onto the fullest; \
             3 of them may fail together with its siblings",
        );
        let shunned = Why {
            shunned: 1,
            ..alone
        };
        assert_eq!(
            shunned.to_string(),
            "the only one that fits of 412; no other is apart from its siblings; 120 km away",
        );
    }
}
