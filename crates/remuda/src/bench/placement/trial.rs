//! A made-up network, filled and churned, with a stopwatch at every decision.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use remuda_sim::world::{Nodes, Trial, World};

/// A gang's GPUs.
const GANG_GPUS: u32 = 1_024;
/// A decision that takes longer counts as this, in nanoseconds.
const LONGEST_NS: u64 = 60_000_000_000;

/// The network, and the time that plans took.
pub(super) struct Timekeeper {
    pub(super) trial: Trial,
    pub(super) slowest_plan: Duration,
}

/// Decisions that were timed.
pub(super) struct Timed {
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

/// Times in nanoseconds.
pub(super) fn histogram() -> anyhow::Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, LONGEST_NS, 3)?)
}

pub(super) fn record(times: &mut Histogram<u64>, start: Instant) {
    let nanos = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
    times.saturating_record(nanos);
}

impl Timed {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            times: histogram()?,
            unplaced: 0,
            span: Duration::ZERO,
        })
    }

    pub(super) fn per_second(&self) -> u64 {
        let nanos = self.span.as_nanos().max(1);
        u64::try_from(u128::from(self.times.len()) * 1_000_000_000 / nanos).unwrap_or(u64::MAX)
    }
}

impl Timekeeper {
    pub(super) fn new(
        (seed, gpus): (u64, u64),
        nodes: Nodes,
        unseen_per_mille: u32,
    ) -> anyhow::Result<Self> {
        let world = World::draw_with(seed, gpus, nodes);
        let mut timekeeper = Self {
            trial: Trial::new(world, seed, unseen_per_mille)?,
            slowest_plan: Duration::ZERO,
        };
        timekeeper.plan();
        Ok(timekeeper)
    }

    #[expect(clippy::cast_precision_loss, reason = "GPUs are far below 2^52")]
    pub(super) fn load_percent(&self) -> f64 {
        self.trial.used_gpu_milli() as f64 / (self.trial.gpus() * 10).max(1) as f64
    }

    /// Places replicas until so much of the network is in use.
    pub(super) fn fill(&mut self, percent: u64) -> anyhow::Result<Timed> {
        let mut timed = Timed::new()?;
        // Where demand is finer than what is left, a full network is one that refuses this often.
        let refusals_max = 10_000 + self.trial.nodes() as u64;
        while self.trial.has_less_than(percent) && timed.unplaced < refusals_max {
            if self.trial.is_plan_due() {
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
            while self.trial.has_more_than(percent) {
                self.trial.depart()?;
            }
            self.decide(&mut timed)?;
        }
        timed.span = start.elapsed();
        Ok(timed)
    }

    fn decide(&mut self, timed: &mut Timed) -> anyhow::Result<()> {
        let request = self.trial.ask()?;
        let start = Instant::now();
        let placed = self.trial.decide(&request);
        record(&mut timed.times, start);
        match placed? {
            Some(placed) => self.trial.keep(request, placed),
            None => timed.unplaced += 1,
        }
        Ok(())
    }

    fn plan(&mut self) {
        let start = Instant::now();
        self.trial.plan();
        self.slowest_plan = self.slowest_plan.max(start.elapsed());
    }

    /// How long it takes to find nodes for a gang of 1,024 GPUs on one fabric, if it has a place.
    pub(super) fn gang(&mut self) -> anyhow::Result<Option<Duration>> {
        let start = Instant::now();
        let has_room = self.trial.has_room_for_gang(GANG_GPUS)?;
        Ok(has_room.then(|| start.elapsed()))
    }

    /// How long it takes to place all that runs at a site of the mean size elsewhere.
    pub(super) fn site_exit(&mut self) -> anyhow::Result<Exit> {
        let gone = self.trial.close_mean_site()?;
        let start = Instant::now();
        let replicas = self.trial.move_away(&gone)?;
        Ok(Exit {
            span: start.elapsed(),
            replicas,
        })
    }
}
