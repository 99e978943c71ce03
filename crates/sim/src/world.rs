//! A made-up world of the size that the network is to hold: sites in many countries, their nodes,
//! and what is asked for there. All of it is drawn from a seed.
//!
//! 435,000 GPUs are 300 sites of 1,450 on average in 93 countries. Sites differ in size, prices of
//! a class by about 30 %, and most sites have several classes. What is asked for has the spread of
//! the `openb` trace: a few shapes very often, many rarely, most of a GPU or less, some of eight.

mod demand;
mod departures;
mod owners;
mod trial;

use std::collections::BTreeMap;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use rand_distr::weighted::WeightedIndex;
use rand_distr::{Distribution, LogNormal};
use remuda_placement::NodeOffer;
use remuda_types::{Capacity, Class, Country, NodeKey, Place, Price, ProviderId, SiteId};

use crate::cities::City;

pub use demand::Demand;
pub use departures::Departures;
pub use trial::{Running, Trial, TrialError};

/// GPUs of a mean site.
const SITE_GPUS: u32 = 1_450;
/// Countries that sites are in.
const COUNTRIES: u32 = 93;
/// One site in so many belongs to the provider of the one before it.
const SHARED_PROVIDER: u32 = 10;
/// A node that reports for itself has up to so many thousandths less memory than its kind, and of
/// disk.
const MEMORY_LESS_MILLI: u64 = 40;
const DISK_LESS_MILLI: u64 = 750;
/// How much sites of the world differ in size, and in price: the sigma of a log-normal.
const SIZE_SIGMA: f64 = 0.7;
const PRICE_SIGMA: f64 = 0.3;

/// A kind of node on the market.
struct Kind {
    class: &'static str,
    gpu_memory_mib: u64,
    gpus: u32,
    cpu_milli: u64,
    memory_mib: u64,
    /// What a GPU costs by the hour where it costs the usual, in micro-USD.
    gpu_usd_micros: f64,
    /// How many of all GPUs, in percent.
    percent: u32,
}

const KINDS: [Kind; 6] = [
    kind("h100-sxm-80", 80, (8, 128_000, 1 << 20), 2_200_000.0, 35),
    kind("a100-sxm-80", 80, (8, 96_000, 1 << 20), 1_200_000.0, 25),
    kind("l40s-48", 48, (8, 96_000, 1 << 19), 800_000.0, 15),
    kind("l40s-48", 48, (4, 64_000, 1 << 18), 850_000.0, 5),
    kind("rtx4090-24", 24, (8, 64_000, 1 << 18), 350_000.0, 15),
    kind("rtx4090-24", 24, (2, 16_000, 1 << 16), 300_000.0, 5),
];

const fn kind(
    class: &'static str,
    gpu_memory_gib: u64,
    (gpus, cpu_milli, memory_mib): (u32, u64, u64),
    gpu_usd_micros: f64,
    percent: u32,
) -> Kind {
    Kind {
        class,
        gpu_memory_mib: gpu_memory_gib * 1_024,
        gpus,
        cpu_milli,
        memory_mib,
        gpu_usd_micros,
        percent,
    }
}

/// How alike the nodes of a rack are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Nodes {
    /// Of one kind they have the same.
    #[default]
    Alike,
    /// Each reports its own memory and free disk, and is counted as the network counts it.
    Reporting,
    /// Each has its own price as well, within a few per cent.
    Priced,
}

/// What there is in the world.
#[derive(Clone, Debug)]
pub struct World {
    /// Every node, site by site.
    pub offers: Vec<NodeOffer>,
    /// How many GPUs they have together.
    pub gpus: u64,
}

/// Cities that no site can be drawn to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nobody lives in any of the cities: one with a population above 0 is expected")]
pub struct Deserted;

/// Where a site is, and whose.
#[derive(Clone, Copy)]
struct Ground {
    provider: ProviderId,
    site: SiteId,
    country: Country,
    place: Place,
}

impl World {
    /// A world of about so many GPUs: the last site is cut short when they are reached.
    pub fn draw(seed: u64, gpus: u64) -> Self {
        Self::draw_with(seed, gpus, Nodes::Alike)
    }

    /// The same of nodes that are so alike.
    pub fn draw_with(seed: u64, gpus: u64, nodes: Nodes) -> Self {
        let mut world = Self::of_sites(seed, gpus, SITE_GPUS);
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x6e6f_6465);
        let offers = world.offers.iter_mut();
        match nodes {
            Nodes::Alike => {}
            Nodes::Reporting => offers.for_each(|offer| report(&mut rng, offer)),
            Nodes::Priced => offers.for_each(|offer| {
                report(&mut rng, offer);
                price(&mut rng, offer);
            }),
        }
        world
    }

    /// The same with so many GPUs at a mean site, its nodes alike.
    pub fn of_sites(seed: u64, gpus: u64, site_gpus: u32) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut world = Self {
            offers: Vec::new(),
            gpus: 0,
        };
        let (mut site, mut provider) = (0, 0);
        while world.gpus < gpus {
            site += 1;
            if site % SHARED_PROVIDER != 0 {
                provider = site;
            }
            let size = f64::from(site_gpus) * spread(&mut rng, SIZE_SIGMA);
            let ground = ground(&mut rng, site, provider);
            world.build(&mut rng, ground, size, gpus);
        }
        world
    }

    /// Moves the sites to cities, drawn by how many live there. Which city each stands in then, by
    /// its place in the list.
    pub fn settle(
        &mut self,
        seed: u64,
        cities: &[City],
    ) -> Result<BTreeMap<SiteId, usize>, Deserted> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x0063_6974_6965_7300);
        let weights = cities.iter().map(|city| city.population);
        let drawn = WeightedIndex::new(weights).map_err(|_| Deserted)?;
        let mut settled = BTreeMap::new();
        for offer in &mut self.offers {
            let city = settled.entry(offer.site);
            offer.place = cities[*city.or_insert_with(|| drawn.sample(&mut rng))].place;
        }
        Ok(settled)
    }

    /// A site of so many GPUs, unless the world has enough before.
    fn build(&mut self, rng: &mut ChaCha8Rng, ground: Ground, size: f64, enough: u64) {
        let mut built = 0.0;
        while built < size && self.gpus < enough {
            let kind = drawn_kind(rng);
            let price = kind.gpu_usd_micros * spread(rng, PRICE_SIGMA);
            // Racks of one kind: a third of the site, or what is left of it.
            let rack = (size / 3.0).min(size - built).max(1.0);
            let mut racked = 0.0;
            while racked < rack && self.gpus < enough {
                let left = u32::try_from(enough - self.gpus).unwrap_or(u32::MAX);
                let offer = self.offer(ground, kind, price, kind.gpus.min(left));
                racked += f64::from(offer.capacity.gpus);
                self.gpus += u64::from(offer.capacity.gpus);
                self.offers.push(offer);
            }
            built += racked;
        }
    }

    fn offer(&self, ground: Ground, kind: &Kind, gpu_usd_micros: f64, gpus: u32) -> NodeOffer {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&(self.offers.len() as u64).to_be_bytes());
        NodeOffer {
            node: NodeKey(key),
            provider: ground.provider,
            site: ground.site,
            country: ground.country,
            place: ground.place,
            class: class(kind.class),
            capacity: Capacity {
                gpus,
                gpu_memory_mib: kind.gpu_memory_mib,
                cpu_milli: kind.cpu_milli,
                memory_mib: kind.memory_mib,
                disk_mib: 1 << 22,
            },
            price: micros(gpu_usd_micros * f64::from(gpus)),
        }
    }
}

/// What a node of this kind might say that it has.
fn report(rng: &mut ChaCha8Rng, offer: &mut NodeOffer) {
    let Capacity {
        memory_mib,
        disk_mib,
        ..
    } = offer.capacity;
    let reported = Capacity {
        memory_mib: less(rng, memory_mib, MEMORY_LESS_MILLI),
        disk_mib: less(rng, disk_mib, DISK_LESS_MILLI),
        ..offer.capacity
    };
    offer.capacity = reported.in_steps();
}

fn less(rng: &mut ChaCha8Rng, amount: u64, at_most_milli: u64) -> u64 {
    amount - rng.random_range(0..=amount * at_most_milli / 1_000)
}

fn price(rng: &mut ChaCha8Rng, offer: &mut NodeOffer) {
    let percent = rng.random_range(97..=103_u64);
    let micros = offer.price.micros_per_hour() * percent / 100 + rng.random_range(0..1_000);
    offer.price = Price::from_micros_per_hour(micros);
}

fn ground(rng: &mut ChaCha8Rng, site: u32, provider: u32) -> Ground {
    Ground {
        provider: ProviderId::from_u128(u128::from(provider)),
        site: SiteId::from_u128(u128::from(site)),
        country: country(rng.random_range(0..COUNTRIES)),
        place: place(rng),
    }
}

/// One of the countries: two letters each.
fn country(number: u32) -> Country {
    let letter = |index: u32| char::from_u32(u32::from('A') + index % 26).unwrap_or('A');
    let code: String = [letter(number / 26), letter(number)].into_iter().collect();
    code.parse().unwrap_or(Country::UNKNOWN)
}

/// Somewhere between the polar circles.
fn place(rng: &mut ChaCha8Rng) -> Place {
    let (north, east) = (
        rng.random_range(-55.0..65.0),
        rng.random_range(-180.0..180.0),
    );
    Place::from_degrees(north, east).unwrap_or(Place::ORIGIN)
}

fn drawn_kind(rng: &mut ChaCha8Rng) -> &'static Kind {
    let mut draw = rng.random_range(0..100);
    let hit = |kind: &&Kind| {
        let hit = draw < kind.percent;
        draw = draw.saturating_sub(kind.percent);
        hit
    };
    KINDS.iter().find(hit).unwrap_or(&KINDS[0])
}

/// A factor around one.
fn spread(rng: &mut ChaCha8Rng, sigma: f64) -> f64 {
    LogNormal::new(-sigma * sigma / 2.0, sigma).map_or(1.0, |factor| factor.sample(rng))
}

fn class(name: &str) -> Class {
    name.parse().unwrap_or(Class::CPU)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a price is positive and far below 2^52"
)]
fn micros(usd_micros: f64) -> Price {
    Price::from_micros_per_hour(usd_micros as u64)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_world_is_as_large_as_asked_and_the_same_for_a_seed() {
        let world = World::draw(1, 20_000);
        assert_eq!(world.gpus, 20_000);
        let sum: u64 = world
            .offers
            .iter()
            .map(|of| u64::from(of.capacity.gpus))
            .sum();
        assert_eq!(sum, 20_000);
        assert_eq!(World::draw(1, 20_000).offers, world.offers);
        assert_ne!(World::draw(2, 20_000).offers, world.offers);
        let mut fleet = remuda_placement::Fleet::new();
        for offer in &world.offers {
            fleet.upsert(offer).unwrap();
        }
    }

    #[test]
    fn nodes_that_report_for_themselves_differ_and_are_counted_in_steps() {
        let alike = World::draw(1, 20_000).offers;
        let differing = World::draw_with(1, 20_000, Nodes::Priced).offers;
        let capacities: BTreeSet<_> = differing.iter().map(|of| of.capacity).collect();
        let prices: BTreeSet<_> = differing.iter().map(|of| of.price).collect();
        assert!(capacities.len() > 100, "{}", capacities.len());
        assert!(prices.len() > differing.len() / 2, "{}", prices.len());
        for (one, other) in alike.iter().zip(&differing) {
            assert_eq!((one.node, one.site), (other.node, other.site));
            assert_eq!(other.capacity.in_steps(), other.capacity);
            assert!(other.capacity.memory_mib * 10 >= one.capacity.memory_mib * 9);
        }
        let only_capacity = World::draw_with(1, 20_000, Nodes::Reporting).offers;
        assert!(
            alike
                .iter()
                .zip(&only_capacity)
                .all(|(one, other)| one.price == other.price)
        );
    }

    #[test]
    fn the_whole_world_has_300_sites_or_so_in_93_countries() {
        let world = World::draw(1, 435_000);
        let sites: BTreeSet<_> = world.offers.iter().map(|of| of.site).collect();
        let countries: BTreeSet<_> = world.offers.iter().map(|of| of.country).collect();
        assert!((250..350).contains(&sites.len()), "{}", sites.len());
        assert!((85..=93).contains(&countries.len()), "{}", countries.len());
        assert!(
            (50_000..80_000).contains(&world.offers.len()),
            "{}",
            world.offers.len()
        );
    }
}
