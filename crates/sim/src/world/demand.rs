//! What is asked for in a made-up world, one request after another.

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Zipf};
use remuda_placement::{Avoid, Expected, Near, Request};
use remuda_types::{Class, Country, Place, Shape, SiteId};

use super::{COUNTRIES, class, country, place};

/// Shapes that are asked for again and again.
const SHAPES: u32 = 96;
/// Places that users are at.
const CITIES: u32 = 200;
/// How steeply some shapes and cities are asked for more often than others.
const POPULARITY: f64 = 1.1;

/// Requests drawn from a seed.
#[derive(Debug)]
pub struct Demand {
    rng: ChaCha8Rng,
    kinds: Vec<Kind>,
    cities: Vec<Place>,
    /// Of a thousand requests, so many have a shape that was never seen.
    unseen_per_mille: u32,
}

/// A shape that is asked for, and the classes that will do.
#[derive(Clone, Debug)]
struct Kind {
    shape: Shape,
    classes: Vec<Class>,
}

/// Classes of which the better will do as well, the least first.
const LADDER: [&str; 4] = ["rtx4090-24", "l40s-48", "a100-sxm-80", "h100-sxm-80"];

impl Demand {
    /// Requests of which so many of a thousand have a shape that was never seen before.
    pub fn new(seed: u64, unseen_per_mille: u32) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        Self {
            kinds: (0..SHAPES).map(|_| Kind::draw(&mut rng)).collect(),
            cities: (0..CITIES).map(|_| place(&mut rng)).collect(),
            rng,
            unseen_per_mille,
        }
    }

    /// The next request.
    pub fn draw(&mut self) -> Option<Request> {
        let rng = &mut self.rng;
        let kind = &self.kinds[popular(rng, SHAPES)];
        let mut shape = kind.shape;
        if rng.random_range(0..1_000) < self.unseen_per_mille {
            shape.cpu_milli = rng.random_range(1..16_000);
            shape.memory_mib = rng.random_range(1..65_536);
        }
        let mut request = Request::new(shape).ok()?;
        request.classes.clone_from(&kind.classes);
        match rng.random_range(0..10) {
            0 => request.countries = countries(rng, 1),
            1 => request.countries = countries(rng, 20),
            2 | 3 => {
                request.near = Some(Near {
                    place: self.cities[popular(rng, CITIES)],
                    max_distance_km: [2_000, 5_000][rng.random_range(0..2)],
                });
            }
            4 => request.avoid = siblings(rng),
            _ => {}
        }
        Some(request)
    }

    /// What is asked for again and again, and how often.
    pub fn expected(&self) -> Vec<(Expected, u64)> {
        let weigh = |(rank, kind): (u32, &Kind)| {
            let share = 1e6 / f64::from(rank).powf(POPULARITY);
            let expected = Expected::new(kind.shape, kind.classes.clone()).ok()?;
            Some((expected, whole(share)))
        };
        (1..).zip(&self.kinds).filter_map(weigh).collect()
    }
}

impl Kind {
    fn draw(rng: &mut ChaCha8Rng) -> Self {
        let gpu_milli: u64 = match rng.random_range(0..100) {
            0..5 => 0,
            5..40 => rng.random_range(1..20) * 50,
            40..85 => 1_000,
            85..90 => 2_000,
            90..94 => 4_000,
            _ => 8_000,
        };
        let gpus = gpu_milli.div_ceil(1_000).max(1);
        let cpu_milli = [2_000, 4_000, 6_000, 8_000, 11_000][rng.random_range(0..5)] * gpus;
        let shape = Shape {
            gpu_milli,
            cpu_milli,
            memory_mib: cpu_milli * [2, 4, 8][rng.random_range(0..3)],
            ..Shape::default()
        };
        let least = rng.random_range(0..LADDER.len());
        let classes = match rng.random_range(0..10) {
            _ if gpu_milli == 0 => &[],
            0..4 => &LADDER[least..],
            4..8 => &LADDER[least..=least],
            _ => &[],
        };
        let classes = classes.iter().map(|name| class(name)).collect();
        Self { shape, classes }
    }
}

fn countries(rng: &mut ChaCha8Rng, count: u32) -> Vec<Country> {
    let first = rng.random_range(0..COUNTRIES);
    let of = |offset| country((first + offset) % COUNTRIES);
    (0..count).map(of).collect()
}

/// Sites that other replicas of the workload are at.
fn siblings(rng: &mut ChaCha8Rng) -> Avoid {
    let site = |_| SiteId::from_u128(u128::from(rng.random_range(1..300_u32)));
    Avoid {
        sites: (0..3).map(site).collect(),
        ..Avoid::default()
    }
}

/// An index below `count`, low ones more often.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rank is from 1 to the number of elements"
)]
fn popular(rng: &mut ChaCha8Rng, count: u32) -> usize {
    let rank = Zipf::new(f64::from(count), POPULARITY).map_or(1.0, |zipf| zipf.sample(rng));
    (rank as usize).clamp(1, count as usize) - 1
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a million"
)]
fn whole(share: f64) -> u64 {
    share as u64
}
