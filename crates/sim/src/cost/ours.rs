//! The network's own way: placement with congestion, steered by the quotas of a plan that is made
//! anew as demand shows.

use remuda_placement::{Cell, Congestion, DemandClass, Fleet, NodeOffer, Plan, Quota, find};
use remuda_planner::{
    Elapsed, Forecast, Gap, Problem, ProblemError, SolveError, Solver, bound, remaining,
};
use remuda_types::{Capacity, Country, NodeKey, Price, ProviderId};

use super::scene::{Scene, Site};
use super::{GPU_MILLI, Outcome};

/// The congestion that places are compared with where there is no quota: 2 % of the price, e-fold
/// with every quarter of the load.
const CONGESTION: (u32, u32) = (20, 4_000);
/// GPUs of a node.
const NODE_GPUS: u64 = 8;
const CLASS: &str = "h100-sxm-80";

/// The network on its way through what is asked for.
pub struct Ours<'a> {
    scene: &'a Scene,
    fleet: Fleet,
    /// What each of the scene's classes is to placement.
    demand: Vec<DemandClass>,
    solver: Solver,
    /// How many requests of each class have come, and how many GPUs of each site are free.
    seen: Vec<u64>,
    free: Vec<u64>,
    arrived: usize,
    /// The shadow prices of the plans so far.
    duals: Vec<remuda_planner::Duals>,
    outcome: Outcome,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// There is nothing to plan.
    #[error(transparent)]
    Problem(#[from] ProblemError),
    /// The solver failed.
    #[error(transparent)]
    Solve(#[from] SolveError),
}

impl<'a> Ours<'a> {
    /// The network before the first request: no plan, and places compared by price and congestion.
    pub fn new(scene: &'a Scene) -> Self {
        let mut fleet = Fleet::new();
        for site in &scene.sites {
            for offer in nodes(site) {
                let taken = fleet.upsert(&offer);
                debug_assert!(taken.is_ok(), "a site has one owner: {taken:?}");
            }
        }
        let congestion = Congestion::new(CONGESTION.0, CONGESTION.1);
        fleet.set_plan(Plan::new(&fleet, [], congestion));
        Self {
            scene,
            fleet,
            demand: demand(scene),
            solver: Solver::new(),
            seen: vec![0; scene.classes.len()],
            free: scene.sites.iter().map(|site| site.gpus).collect(),
            arrived: 0,
            duals: Vec::new(),
            outcome: Outcome::default(),
        }
    }

    /// Makes a plan of what is still expected and still free, and follows it from now on; where
    /// nothing is either, there is none to follow.
    pub fn plan(&mut self) -> Result<(), PlanError> {
        let problem = match self.still_to_come() {
            Err(ProblemError::NoDemand | ProblemError::NoSupply) => {
                self.fleet.set_quotas([]);
                return Ok(());
            }
            problem => problem?,
        };
        let plan = self.solver.solve(&problem)?;
        let rows = plan.quotas.iter().filter_map(|quota| {
            let class = self.demand[quota.demand].clone();
            let site = self.scene.sites[quota.supply].id;
            let cell = Cell {
                site,
                class: CLASS.parse().ok()?,
            };
            Some(Quota {
                class,
                cell,
                gpu_milli: quota.gpu_milli,
            })
        });
        // A quota is what a class is to have in all, what it has included.
        let held = self.fleet.quotas().held().flat_map(|(class, cells)| {
            let row = |(cell, gpu_milli)| Quota {
                class: class.clone(),
                cell,
                gpu_milli,
            };
            cells.into_iter().map(row)
        });
        let rows: Vec<_> = held.chain(rows).collect();
        self.fleet.set_quotas(rows);
        self.duals.push(plan.duals);
        Ok(())
    }

    /// What is expected of the rest of the period, and what is free for it.
    fn still_to_come(&self) -> Result<Problem, ProblemError> {
        let elapsed = Elapsed::of(self.arrived as u64, self.scene.arrivals.len() as u64);
        let classes = self.scene.classes.iter().zip(&self.seen);
        let expected = classes.map(|(class, seen)| {
            let forecast = Forecast {
                gpu_milli: class.forecast * GPU_MILLI,
                worth_gpu_milli: worth(self.scene.forecast_error_percent) * GPU_MILLI,
            };
            remaining(forecast, seen * GPU_MILLI, elapsed)
        });
        let free = self.free.iter().map(|free| free * GPU_MILLI);
        let (expected, free): (Vec<_>, Vec<_>) = (expected.collect(), free.collect());
        self.scene.problem.with_amounts(&expected, &free)
    }

    /// Serves requests until so many of `of` parts of all have come.
    pub fn serve(&mut self, part: u64, of: u64) {
        let arrivals = &self.scene.arrivals;
        let until = arrivals.len() as u64 * part / of.max(1);
        while let Some(&users) = arrivals
            .get(self.arrived)
            .filter(|_| (self.arrived as u64) < until)
        {
            self.arrived += 1;
            let price = self.place(self.scene.users[users as usize].class);
            self.outcome.count(price);
        }
    }

    fn place(&mut self, class: usize) -> Option<Price> {
        self.seen[class] += 1;
        let request = &self.scene.classes[class].request;
        let placed = find(&mut self.fleet, request)?;
        self.fleet
            .hold_on(placed.node, request.shape(), placed.gpus)
            .ok()?;
        let gpu_milli = request.shape().gpu_milli;
        self.fleet
            .count_in(&self.demand[class], placed.node, gpu_milli);
        let site = usize::try_from(placed.site.as_u128() - 1).ok()?;
        self.free[site] -= 1;
        Some(placed.price)
    }

    /// What it has come to so far.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// How far above the best possible that is at most, as the network can tell by itself: by the
    /// plans it made on the way, for what was really asked.
    pub fn certified_gap(&self) -> Option<Gap> {
        let bounds = self
            .duals
            .iter()
            .map(|duals| bound(&self.scene.problem, duals));
        let cost = self.outcome.cost;
        bounds.max().map(|bound| Gap { cost, bound })
    }
}

/// Every request of the scene asks for GPUs.
fn demand(scene: &Scene) -> Vec<DemandClass> {
    let classes = scene.classes.iter();
    classes
        .filter_map(|class| DemandClass::of(&class.request))
        .collect()
}

/// How many requests a forecast counts as that is wrong by so many percent.
fn worth(error_percent: u64) -> u64 {
    10_000 / (error_percent * error_percent).max(1)
}

/// The nodes of a site, eight GPUs each but the last.
fn nodes(site: &Site) -> impl Iterator<Item = NodeOffer> {
    let number = u32::try_from(site.id.as_u128()).unwrap_or(u32::MAX);
    (0..site.gpus.div_ceil(NODE_GPUS)).map(move |at| {
        let gpus = NODE_GPUS.min(site.gpus - at * NODE_GPUS);
        let mut key = [0; 32];
        key[..4].copy_from_slice(&number.to_be_bytes());
        key[4..12].copy_from_slice(&at.to_be_bytes());
        NodeOffer {
            node: NodeKey(key),
            provider: ProviderId::from_u128(site.id.as_u128()),
            site: site.id,
            country: Country::UNKNOWN,
            place: site.place,
            class: CLASS.parse().unwrap_or(remuda_types::Class::CPU),
            capacity: Capacity {
                gpus: u32::try_from(gpus).unwrap_or(u32::MAX),
                ..Capacity::default()
            },
            price: Price::from_micros_per_hour(site.gpu_price.micros_per_hour() * gpus),
        }
    })
}
