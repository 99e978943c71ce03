//! Which sites fail together: a running estimate, learned from their outages.
//!
//! Counted are the outages of each site, and for each two sites how often an outage of the one lay
//! within a window of an outage of the other. Both fade with a half-life. Chance alone brings some
//! together: two sites that failed `m` and `n` times in a time `T` are expected to have met
//! `m·n·2w/T` times, `w` the window. How much likelier than by chance they fail together is what
//! was seen over what was expected, both with a little added, so that one meeting of two that
//! seldom fail says nothing yet: the mean of a Poisson rate's ratio under a gamma prior of mean 1
//! (`DuMouchel`, American Statistician 53, 1999; Norén, Hopstadius and Bate, Statistical Methods in
//! Medical Research 22, 2013).
//!
//! What is believed of two sites changes only when one of them fails: that both were up says
//! nothing of whether they would go down together. So it is a function of what was fed, and of no
//! clock.
//!
//! What does not belong here: what an outage is, and what is done about kin.

mod fading;
mod kin;

use std::collections::BTreeMap;

use minicbor::{Decode, Encode};
use remuda_types::{SiteId, Span, Time};

pub(crate) use kin::Kin;

use fading::{Count, ONE, exposure};

/// So many sites are remembered; those that failed longest ago are forgotten first.
pub const SITES_MAX: usize = 1 << 14;
/// So many pairs that have failed together are remembered; those that seldom did are forgotten
/// first.
pub const PAIRS_MAX: usize = 1 << 14;
/// What is added to what was seen and to what was expected: a tenth of a joint outage.
const PRIOR: u128 = (ONE as u128) * (ONE as u128) / 10;
/// Added to the time in which outages were counted: before so long little is known of how often
/// sites fail, and they are not believed to fail as often as in the first hour.
const RUN_IN: Span = Span::from_secs(7 * 86_400);

/// When two sites count as kin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Outages that begin within this of each other are joint. A site that fails again within it
    /// is still in the same outage.
    pub window: Span,
    /// After so long an outage counts half.
    pub half_life: Span,
    /// Sites that fail together so many thousandths of times as often as by chance are kin; at 0
    /// nobody is.
    pub lift_milli: u32,
}

/// The estimate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Kinship {
    /// The first outage.
    #[n(0)]
    began: Option<Time>,
    /// The latest.
    #[n(1)]
    latest: Time,
    /// The outages of each site that ever failed.
    #[n(2)]
    sites: BTreeMap<SiteId, Count>,
    /// The joint outages of each two sites that ever had one, the lower id first.
    #[n(3)]
    pairs: BTreeMap<(SiteId, SiteId), Count>,
    /// How often something was forgotten for want of room.
    #[n(4)]
    cuts: u64,
}

impl Kinship {
    /// Counts an outage that began at `at`; in whatever order those come that began at once.
    pub fn observe(&mut self, site: SiteId, at: Time, rule: &Rule) {
        let at = at.max(self.latest);
        if self.is_out(site, at, rule) {
            return;
        }
        self.latest = at;
        self.began.get_or_insert(at);
        let beside = |(other, count): (&SiteId, &Count)| {
            let joint = *other != site && at.since(count.at()) <= rule.window;
            joint.then_some(*other)
        };
        let together: Vec<_> = self.sites.iter().filter_map(beside).collect();
        for other in together {
            let count = self.pairs.entry(pair(site, other)).or_default();
            count.add_one(at, rule.half_life);
        }
        let own = self.sites.entry(site).or_default();
        own.add_one(at, rule.half_life);
        self.keep_bounds(rule);
    }

    /// Whether an outage of the site has begun within the window before `at`.
    pub fn is_out(&self, site: SiteId, at: Time, rule: &Rule) -> bool {
        let last = self.sites.get(&site).map(Count::at);
        last.is_some_and(|last| at.since(last) <= rule.window)
    }

    /// In how many thousandths of times as many outages as by chance two sites fail together,
    /// as of the last outage of either: 1,000 is chance, and what is believed without evidence.
    pub fn lift_milli(&self, one: SiteId, other: SiteId, rule: &Rule) -> u64 {
        let (Some(first), Some(second)) = (self.sites.get(&one), self.sites.get(&other)) else {
            return 1_000;
        };
        let at = first.at().max(second.at());
        let faded = |count: &Count| u128::from(count.at_time(at, rule.half_life));
        let joint = self.pairs.get(&pair(one, other));
        let seen = joint.map_or(0, |joint| faded(joint) * u128::from(ONE));
        let time = self.exposure(at, rule);
        let chances = u128::from(rule.window.as_millis()).saturating_mul(2);
        let outages = faded(first).saturating_mul(faded(second));
        let expected = outages.saturating_mul(chances) / u128::from(time.as_millis()).max(1);
        let lift = (seen + PRIOR).saturating_mul(1_000) / expected.saturating_add(PRIOR);
        u64::try_from(lift).unwrap_or(u64::MAX)
    }

    /// For how long outages were counted, what has faded left out.
    fn exposure(&self, at: Time, rule: &Rule) -> Span {
        let began = self.began.unwrap_or(at);
        exposure(began, at, rule.half_life).saturating_add(RUN_IN)
    }

    /// Whether the two fail together.
    pub fn are_kin(&self, one: SiteId, other: SiteId, rule: &Rule) -> bool {
        let known = self.pairs.contains_key(&pair(one, other));
        known && rule.lift_milli > 0 && self.is_over(one, other, rule)
    }

    fn is_over(&self, one: SiteId, other: SiteId, rule: &Rule) -> bool {
        self.lift_milli(one, other, rule) >= u64::from(rule.lift_milli)
    }

    /// The sites that fail together with this one.
    pub fn kin_of(&self, site: SiteId, rule: Rule) -> impl Iterator<Item = SiteId> + '_ {
        let others = self.sites.keys().copied();
        others.filter(move |other| *other != site && self.are_kin(site, *other, &rule))
    }

    /// All pairs that fail together, the lower id first.
    pub fn kin(&self, rule: Rule) -> impl Iterator<Item = (SiteId, SiteId)> + '_ {
        let pairs = self.pairs.keys().copied();
        pairs.filter(move |(one, other)| self.are_kin(*one, *other, &rule))
    }

    /// The sites that ever failed, as far as they are remembered.
    pub fn sites(&self) -> impl Iterator<Item = SiteId> + '_ {
        self.sites.keys().copied()
    }

    /// How many pairs are remembered.
    pub fn pairs(&self) -> usize {
        self.pairs.len()
    }

    /// How often something was forgotten for want of room. While it stays the same, an outage
    /// changes nothing of pairs that the failed site is not of.
    pub const fn cuts(&self) -> u64 {
        self.cuts
    }

    fn keep_bounds(&mut self, rule: &Rule) {
        if self.sites.len() > SITES_MAX {
            let oldest = weakest(&self.sites, SITES_MAX, |count| count.at().as_millis());
            for site in oldest {
                self.sites.remove(&site);
            }
            let sites = &self.sites;
            self.pairs
                .retain(|(one, other), _| sites.contains_key(one) && sites.contains_key(other));
            self.cuts += 1;
        }
        if self.pairs.len() > PAIRS_MAX {
            let now = self.latest;
            let weight = |count: &Count| count.at_time(now, rule.half_life);
            for pair in weakest(&self.pairs, PAIRS_MAX, weight) {
                self.pairs.remove(&pair);
            }
            self.cuts += 1;
        }
    }
}

/// Those to be forgotten so that an eighth of the room is free again: of the least weight, and
/// among these those of the lowest key.
fn weakest<K: Copy + Ord>(
    counts: &BTreeMap<K, Count>,
    most: usize,
    weight: impl Fn(&Count) -> u64,
) -> Vec<K> {
    let mut ranked: Vec<_> = counts
        .iter()
        .map(|(key, count)| (weight(count), *key))
        .collect();
    ranked.sort_unstable();
    ranked.truncate(counts.len().saturating_sub(most - most / 8));
    ranked.into_iter().map(|(_, key)| key).collect()
}

fn pair(one: SiteId, other: SiteId) -> (SiteId, SiteId) {
    (one.min(other), one.max(other))
}

#[cfg(test)]
mod tests;
