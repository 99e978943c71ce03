//! What it is worth to know which sites fail together: learned on one half of a record, judged on
//! the half that was not seen.
//!
//! Replicas are placed by `placement` itself, on a node at each site, at prices that are drawn anew
//! each time: once not knowing anything of kin, and once knowing what the first half taught. For
//! both it is counted for how much of the second half all of them were down at once. What does not
//! belong here: where a record comes from, and what a replica would have done meanwhile.

mod draw;
mod record;

use std::collections::BTreeSet;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use remuda_placement::{
    Fleet, Kinship, NodeOffer, Replicas, Request, RequestError, Rule, Spread, place_group,
};
use remuda_types::{Capacity, Class, NodeKey, Place, Price, ProviderId, Shape, SiteId};

pub use draw::{Drawn, DrawnRecord};
pub use record::{Record, RecordError};

/// Prices are drawn between one and two dollars.
const LEAST_PRICE: u64 = 1_000_000;

/// What one half of a record taught, and the other half to be judged by.
#[derive(Debug)]
pub struct Trial {
    record: Record,
    /// Sites that were found to fail together, each pair once.
    kin: BTreeSet<(usize, usize)>,
    /// Outages that the first half had.
    outages: usize,
}

/// For how much of the unseen half all replicas were down at once, on average.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judged {
    /// Placed by price alone.
    pub blind: f64,
    /// Placed by price, away from sites that were found to fail together.
    pub learned: f64,
    /// What those that were placed by price alone would have had if sites failed independently.
    pub independent: f64,
    /// The same of those that were placed away from kin.
    pub learned_independent: f64,
}

impl Trial {
    /// Learns from the first half of a record.
    pub fn new(record: Record, rule: &Rule) -> Self {
        let mut kinship = Kinship::default();
        let mut outages = 0;
        for (at, site) in record.outages_of_first_half() {
            kinship.observe(site_id(site), at, rule);
            outages += 1;
        }
        let sites = 0..record.sites();
        let pairs = sites.flat_map(|one| (0..one).map(move |other| (other, one)));
        let are_kin =
            |(one, other): &(usize, usize)| kinship.are_kin(site_id(*one), site_id(*other), rule);
        Self {
            kin: pairs.filter(are_kin).collect(),
            record,
            outages,
        }
    }

    /// Sites that were found to fail together, each pair once, the lower number first.
    pub const fn kin(&self) -> &BTreeSet<(usize, usize)> {
        &self.kin
    }

    /// Outages that there were to learn from.
    pub const fn outages(&self) -> usize {
        self.outages
    }

    /// The record.
    pub const fn record(&self) -> &Record {
        &self.record
    }

    /// Places so many replicas `draws` times; nothing where there are too few sites for them.
    pub fn judge(&self, replicas: Replicas, draws: u32, seed: u64) -> Option<Judged> {
        let (request, mut offers) = (request().ok()?, offers(self.record.sites())?);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (mut blind, mut knowing) = (Fleet::new(), Fleet::new());
        for (one, other) in &self.kin {
            let kin: Vec<_> = knowing.kin_of(site_id(*one)).collect();
            let kin = kin.into_iter().chain([site_id(*other)]);
            knowing.set_kin(site_id(*one), kin);
        }
        let mut sums = [0.0; 4];
        for _ in 0..draws {
            for offer in &mut offers {
                let price = LEAST_PRICE + rng.random_range(0..LEAST_PRICE);
                offer.price = Price::from_micros_per_hour(price);
                blind.upsert(offer).ok()?;
                knowing.upsert(offer).ok()?;
            }
            let blindly = placed(&mut blind, &request, replicas)?;
            let knowingly = placed(&mut knowing, &request, replicas)?;
            let figures = [
                self.record.all_down(&blindly),
                self.record.all_down(&knowingly),
                self.record.all_down_if_independent(&blindly),
                self.record.all_down_if_independent(&knowingly),
            ];
            for (sum, figure) in sums.iter_mut().zip(figures) {
                *sum += figure;
            }
        }
        let [blind, learned, independent, learned_independent] =
            sums.map(|sum| sum / f64::from(draws.max(1)));
        Some(Judged {
            blind,
            learned,
            independent,
            learned_independent,
        })
    }
}

/// The sites that a group is placed at.
fn placed(fleet: &mut Fleet, request: &Request, replicas: Replicas) -> Option<Vec<usize>> {
    let group = place_group(fleet, request, replicas).ok()?;
    let number = |site: SiteId| usize::try_from(site.as_u128()).ok();
    group.iter().map(|member| number(member.site)).collect()
}

fn request() -> Result<Request, RequestError> {
    let mut request = Request::new(Shape {
        gpu_milli: 1_000,
        ..Shape::default()
    })?;
    request.spread = Spread::ONE_EACH;
    Ok(request)
}

fn site_id(number: usize) -> SiteId {
    SiteId::from_u128(number as u128)
}

/// A node of one GPU at each site, each of its own provider.
fn offers(sites: usize) -> Option<Vec<NodeOffer>> {
    let (country, place) = ("KR".parse().ok()?, Place::from_degrees(0.0, 0.0).ok()?);
    let offer = |site: usize| {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&(site as u64).to_be_bytes());
        NodeOffer {
            node: NodeKey(key),
            provider: ProviderId::from_u128(site as u128),
            site: site_id(site),
            country,
            place,
            class: Class::CPU,
            capacity: Capacity {
                gpus: 1,
                ..Capacity::default()
            },
            price: Price::default(),
        }
    };
    Some((0..sites).map(offer).collect())
}

#[cfg(test)]
mod tests;
