//! The world of the experiment: sites, classes of demand, and the order in which requests come. All
//! of it is drawn from a seed.

use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_distr::weighted::WeightedIndex;
use rand_distr::{Distribution, LogNormal};
use remuda_placement::{Request, RequestError};
use remuda_planner::{Demand, Problem, ProblemError, Supply};
use remuda_types::{Place, Price, SiteId};

use super::GPU_MILLI;
use super::demand::Ground;
use crate::cities::{City, RoundTrips};

/// What a GPU costs by the hour where it costs the usual, in micro-USD, and how much that differs:
/// the sigma of a log-normal.
const USUAL_USD_MICROS: f64 = 2_000_000.0;
const PRICE_SIGMA: f64 = 0.3;
/// What a request that is refused costs by the hour: twenty times the usual.
pub(super) const REFUSED: Price = Price::from_micros_per_hour(40_000_000);
/// Large cities have more sites, but not in proportion.
const POPULATION_POWER: f64 = 0.7;
/// How much of the GPUs is asked for, in percent.
const LOAD_PERCENT: u64 = 85;
/// How large the world is, and what it is drawn from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How many sites.
    pub sites: u32,
    /// How many GPUs they have together.
    pub gpus: u64,
    /// What is drawn from.
    pub seed: u64,
    /// By how many percent every forecast is wrong.
    pub forecast_error_percent: u64,
}

/// A site.
#[derive(Clone, Debug, PartialEq)]
pub struct Site {
    /// Its id.
    pub id: SiteId,
    /// The city it stands in, by its place in the list.
    pub city: usize,
    /// Where that is.
    pub place: Place,
    /// What a GPU there costs by the hour.
    pub gpu_price: Price,
    /// How many it has.
    pub gpus: u64,
}

/// Demand that is limited alike.
#[derive(Clone, Debug)]
pub struct Class {
    /// What each of its requests says.
    pub request: Request,
    /// The sites that will do, by their places in the list.
    pub sites: Vec<usize>,
    /// How many requests there will be.
    pub requests: u64,
    /// How many were forecast.
    pub forecast: u64,
}

/// Those of a class who are in one city.
#[derive(Clone, Debug)]
pub struct Users {
    /// The class, by its place in the list.
    pub class: usize,
    /// The sites that will do, the fastest to reach first.
    pub nearest: Vec<usize>,
    /// How many requests they will make.
    pub requests: u64,
}

/// The world.
#[derive(Clone, Debug)]
pub struct Scene {
    /// The sites.
    pub sites: Vec<Site>,
    /// The classes of demand.
    pub classes: Vec<Class>,
    /// Who asks.
    pub users: Vec<Users>,
    /// Whose the requests are, in the order in which these come.
    pub arrivals: Vec<u32>,
    /// What is asked for and what there is, as a plan with hindsight knows it.
    pub problem: Problem,
    /// By how many percent every forecast is wrong.
    pub forecast_error_percent: u64,
}

/// Why there is no such world.
#[derive(Debug, thiserror::Error)]
pub enum SceneError {
    /// The shape of the requests.
    #[error("the requests are wrong")]
    Request(#[from] RequestError),
    /// What is asked for and what there is.
    #[error("the world is too large or too small")]
    Problem(#[from] ProblemError),
    /// Cities that cannot be drawn from.
    #[error("the cities cannot be drawn from: somebody must live in one of them")]
    Cities,
}

impl Scene {
    /// A world on these cities.
    pub fn draw(
        settings: Settings,
        cities: &[City],
        measured: &RoundTrips,
    ) -> Result<Self, SceneError> {
        let mut rng = ChaCha8Rng::seed_from_u64(settings.seed);
        let sites = sites(&mut rng, settings, cities)?;
        let asked = settings.gpus.saturating_mul(LOAD_PERCENT) / 100;
        let (mut classes, users) = Ground::new(cities, &sites, measured).demand(asked)?;
        for class in &mut classes {
            class.forecast = wrong(&mut rng, class.requests, settings.forecast_error_percent);
        }
        let problem = problem(&sites, &classes)?;
        let arrivals = arrivals(&mut rng, &users);
        Ok(Self {
            sites,
            classes,
            users,
            arrivals,
            problem,
            forecast_error_percent: settings.forecast_error_percent,
        })
    }
}

fn sites(
    rng: &mut ChaCha8Rng,
    settings: Settings,
    cities: &[City],
) -> Result<Vec<Site>, SceneError> {
    let weights = cities
        .iter()
        .map(|city| city.population.powf(POPULATION_POWER));
    let drawn = WeightedIndex::new(weights).map_err(|_| SceneError::Cities)?;
    let (sites, gpus) = (u64::from(settings.sites), settings.gpus);
    let site = |at: u64| {
        let city = drawn.sample(rng);
        Site {
            id: SiteId::from_u128(u128::from(at) + 1),
            city,
            place: cities[city].place,
            gpu_price: price(rng),
            gpus: gpus * (at + 1) / sites - gpus * at / sites,
        }
    };
    Ok((0..sites).map(site).collect())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a price is positive and far below 2^52"
)]
fn price(rng: &mut ChaCha8Rng) -> Price {
    let factor = LogNormal::new(0.0, PRICE_SIGMA).map_or(1.0, |factor| factor.sample(rng));
    Price::from_micros_per_hour((USUAL_USD_MICROS * factor) as u64)
}

/// `total` in parts of these weights; what rounding leaves goes to the first.
/// What is forecast of so many: too much or too little by this share.
fn wrong(rng: &mut ChaCha8Rng, requests: u64, percent: u64) -> u64 {
    let error = requests * percent / 100;
    if rng.random_bool(0.5) {
        requests + error
    } else {
        requests.saturating_sub(error)
    }
}

fn problem(sites: &[Site], classes: &[Class]) -> Result<Problem, ProblemError> {
    let demand = |class: &Class| Demand {
        gpu_milli: class.requests * GPU_MILLI,
        cells: class.sites.clone(),
        unserved: REFUSED,
    };
    let supply = |site: &Site| Supply {
        price: site.gpu_price,
        gpu_milli: site.gpus * GPU_MILLI,
    };
    Problem::new(
        classes.iter().map(demand).collect(),
        sites.iter().map(supply).collect(),
    )
}

fn arrivals(rng: &mut ChaCha8Rng, users: &[Users]) -> Vec<u32> {
    let of = |(at, users): (u32, &Users)| (0..users.requests).map(move |_| at);
    let mut arrivals: Vec<u32> = (0..).zip(users).flat_map(of).collect();
    arrivals.shuffle(rng);
    arrivals
}
