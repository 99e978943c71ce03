//! A made-up network, filled and churned, with a stopwatch at every decision.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use hdrhistogram::Histogram;
use remuda_sim::placement::{
    Congestion, Fleet, GpuSet, NodeOffer, Plan, Replicas, Request, Together, find, place_group,
};
use remuda_sim::world::{Demand, World};
use remuda_types::{NodeKey, Shape, SiteId};

/// A plan is made again when so much more of the network is in use, in percent.
const REPLAN_PERCENT: u64 = 10;
/// The congestion that places are compared with: as the cost benchmark found it best.
const CONGESTION: (u32, u32) = (20, 4_000);
/// A gang's members have eight GPUs each.
const GANG: u32 = 1_024 / 8;
/// A decision that takes longer counts as this, in nanoseconds.
const LONGEST_NS: u64 = 60_000_000_000;

/// The network and what runs on it.
pub(super) struct Trial {
    fleet: Fleet,
    world: World,
    demand: Demand,
    running: Vec<Running>,
    used_gpu_milli: u64,
    /// Picks who leaves: the multiplicative generator of Knuth's MMIX.
    dice: u64,
    pub(super) slowest_plan: Duration,
}

/// A replica and where it is.
struct Running {
    /// Boxed, as whoever keeps it would not keep it beside the fleet.
    request: Box<Request>,
    node: NodeKey,
    gpus: GpuSet,
}

/// Decisions that were timed.
pub(super) struct Timed {
    /// Nanoseconds.
    pub(super) times: Histogram<u64>,
    pub(super) unplaced: u64,
    /// All of it, departures included, plans not.
    span: Duration,
}

/// A site that was emptied.
pub(super) struct Exit {
    pub(super) span: Duration,
    pub(super) replicas: usize,
}

impl Timed {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            times: Histogram::new_with_bounds(1, LONGEST_NS, 3)?,
            unplaced: 0,
            span: Duration::ZERO,
        })
    }

    pub(super) fn per_second(&self) -> u64 {
        let nanos = self.span.as_nanos().max(1);
        u64::try_from(u128::from(self.times.len()) * 1_000_000_000 / nanos).unwrap_or(u64::MAX)
    }
}

impl Trial {
    pub(super) fn new(seed: u64, gpus: u64, unseen_per_mille: u32) -> anyhow::Result<Self> {
        let world = World::draw(seed, gpus);
        let mut fleet = Fleet::new();
        for offer in &world.offers {
            fleet.upsert(offer)?;
        }
        let mut trial = Self {
            fleet,
            world,
            demand: Demand::new(seed, unseen_per_mille),
            running: Vec::new(),
            used_gpu_milli: 0,
            dice: seed | 1,
            slowest_plan: Duration::ZERO,
        };
        trial.plan();
        Ok(trial)
    }

    pub(super) const fn gpus(&self) -> u64 {
        self.world.gpus
    }

    pub(super) fn nodes(&self) -> usize {
        self.fleet.len()
    }

    #[expect(clippy::cast_precision_loss, reason = "GPUs are far below 2^52")]
    pub(super) fn load_percent(&self) -> f64 {
        self.used_gpu_milli as f64 / (self.gpus() * 10).max(1) as f64
    }

    /// Places replicas until so much of the network is in use.
    pub(super) fn fill(&mut self, percent: u64) -> anyhow::Result<Timed> {
        let mut timed = Timed::new()?;
        let mut planned = 0;
        // Where demand is finer than what is left, a full network is one that refuses this often.
        let refusals_max = 10_000 + self.fleet.len() as u64;
        while self.used_gpu_milli < self.gpus() * 10 * percent && timed.unplaced < refusals_max {
            if self.used_gpu_milli >= planned + self.gpus() * 10 * REPLAN_PERCENT {
                planned = self.used_gpu_milli;
                self.plan();
            }
            self.decide(&mut timed)?;
        }
        Ok(timed)
    }

    /// Decides so often, replicas leaving at random whenever more is in use than this.
    pub(super) fn churn(&mut self, percent: u64, decisions: u64) -> anyhow::Result<Timed> {
        self.plan();
        let mut timed = Timed::new()?;
        let start = Instant::now();
        for _ in 0..decisions {
            while self.used_gpu_milli > self.gpus() * 10 * percent {
                self.depart()?;
            }
            self.decide(&mut timed)?;
        }
        timed.span = start.elapsed();
        Ok(timed)
    }

    fn decide(&mut self, timed: &mut Timed) -> anyhow::Result<()> {
        let request = self.demand.draw().context("the demand asks for nothing")?;
        let start = Instant::now();
        let placed = find(&mut self.fleet, &request);
        let held = placed.as_ref().map(|placed| {
            let shape = request.shape();
            self.fleet.hold_on(placed.node, shape, placed.gpus)
        });
        let nanos = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        timed.times.saturating_record(nanos);
        let Some(placed) = placed else {
            timed.unplaced += 1;
            return Ok(());
        };
        held.transpose()?;
        self.used_gpu_milli += request.shape().gpu_milli;
        self.running.push(Running {
            request: Box::new(request),
            node: placed.node,
            gpus: placed.gpus,
        });
        Ok(())
    }

    fn depart(&mut self) -> anyhow::Result<()> {
        self.dice = self
            .dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let which = (u128::from(self.dice) * self.running.len() as u128) >> 64;
        let leaves = self.running.swap_remove(usize::try_from(which)?);
        self.release(&leaves)
    }

    fn release(&mut self, leaves: &Running) -> anyhow::Result<()> {
        let shape = leaves.request.shape();
        self.fleet.release_on(leaves.node, shape, leaves.gpus)?;
        self.used_gpu_milli -= shape.gpu_milli;
        Ok(())
    }

    fn plan(&mut self) {
        let start = Instant::now();
        let expected = self.demand.expected();
        let expected = expected.iter().map(|(task, count)| (task, *count));
        let (scale, steepness) = CONGESTION;
        let plan = Plan::new(&self.fleet, expected, Congestion::new(scale, steepness));
        self.fleet.set_plan(plan);
        self.slowest_plan = self.slowest_plan.max(start.elapsed());
    }

    /// How long it takes to find nodes for a gang of 1,024 GPUs on one fabric, if it has a place.
    pub(super) fn gang(&mut self) -> Option<Duration> {
        let mut request = Request::new(Shape {
            gpu_milli: 8_000,
            ..Shape::default()
        })
        .ok()?;
        request.together = Together::Fabric;
        let start = Instant::now();
        let placed = place_group(&mut self.fleet, &request, Replicas::new(GANG).ok()?);
        placed.is_ok().then(|| start.elapsed())
    }

    /// How long it takes to place all that runs at a site of the mean size elsewhere.
    pub(super) fn site_exit(&mut self) -> anyhow::Result<Exit> {
        let site = self.mean_site().context("the world has no site")?;
        let here: Vec<NodeOffer> = self.fleet.offers().filter(|of| of.site == site).collect();
        for offer in &here {
            self.fleet.set_open(offer.node, false)?;
        }
        let is_here = |running: &Running| {
            here.binary_search_by_key(&running.node, |of| of.node)
                .is_ok()
        };
        let (gone, staying) = std::mem::take(&mut self.running)
            .into_iter()
            .partition(is_here);
        self.running = staying;
        let gone: Vec<Running> = gone;
        let (start, mut replicas) = (Instant::now(), 0);
        for one in &gone {
            self.release(one)?;
            if let Some(placed) = find(&mut self.fleet, &one.request) {
                self.fleet
                    .hold_on(placed.node, one.request.shape(), placed.gpus)?;
                replicas += 1;
            }
        }
        Ok(Exit {
            span: start.elapsed(),
            replicas,
        })
    }

    /// The site whose size is nearest to the mean.
    fn mean_site(&self) -> Option<SiteId> {
        let mut sizes: BTreeMap<SiteId, u64> = BTreeMap::new();
        for offer in &self.world.offers {
            *sizes.entry(offer.site).or_default() += u64::from(offer.capacity.gpus);
        }
        let mean = self.gpus() / (sizes.len() as u64).max(1);
        let nearest = sizes
            .into_iter()
            .min_by_key(|(_, size)| size.abs_diff(mean));
        nearest.map(|(site, _)| site)
    }
}
