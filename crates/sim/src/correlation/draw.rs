//! Records that are drawn: sites that fail by themselves, and in groups that share a fate.

use std::collections::BTreeSet;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Exp1, LogNormal};
use remuda_types::Span;

use crate::availability::Availability;

/// From one tick to the next.
const GAP: Span = Span::from_secs(300);
const DAY_TICKS: u32 = 288;
/// How long half of the outages last at most, and how much they differ: the sigma of a log-normal.
const LENGTH_TICKS: f64 = 12.0;
const LENGTH_SIGMA: f64 = 0.8;
/// What strikes a group strikes each of its sites with this probability.
const STRUCK: f64 = 0.9;

/// What is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drawn {
    /// Sites.
    pub sites: usize,
    /// So many of them share a fate: a power feed, an uplink, an owner of owners.
    pub group: usize,
    /// For so many days.
    pub days: u32,
    /// Outages of each site in a year that it has by itself.
    pub own_per_year: f64,
    /// Outages of each group in a year.
    pub shared_per_year: f64,
    /// All of it is drawn from this.
    pub seed: u64,
}

/// Traces that were drawn, and what lies behind them.
#[derive(Clone, Debug)]
pub struct DrawnRecord {
    /// A trace of each site.
    pub traces: Vec<Availability>,
    /// Sites of one group, each pair once, the lower number first.
    pub kin: BTreeSet<(usize, usize)>,
}

impl Default for Drawn {
    fn default() -> Self {
        Self {
            sites: 60,
            group: 5,
            days: 730,
            own_per_year: 12.0,
            shared_per_year: 6.0,
            seed: 1,
        }
    }
}

impl Drawn {
    /// Draws the traces.
    pub fn draw(&self) -> DrawnRecord {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let ticks = self.ticks();
        let mut down = vec![vec![false; ticks]; self.sites];
        for own in &mut down {
            for (from, to) in self.outages(&mut rng, self.own_per_year) {
                own[from..to].fill(true);
            }
        }
        for group in down.chunks_mut(self.group.max(1)) {
            for (from, to) in self.outages(&mut rng, self.shared_per_year) {
                for site in group.iter_mut() {
                    if rng.random::<f64>() < STRUCK {
                        site[from..to].fill(true);
                    }
                }
            }
        }
        let trace = |down: Vec<bool>| Availability::but_for(GAP, down);
        DrawnRecord {
            traces: down.into_iter().map(trace).collect(),
            kin: self.kin(),
        }
    }

    fn ticks(&self) -> usize {
        usize::try_from(u64::from(self.days) * u64::from(DAY_TICKS)).unwrap_or(usize::MAX)
    }

    /// The ticks between which each of some outages lies; they come by themselves.
    fn outages(&self, rng: &mut ChaCha8Rng, per_year: f64) -> Vec<(usize, usize)> {
        let end = f64::from(self.days) * f64::from(DAY_TICKS);
        let mean = 365.0 * f64::from(DAY_TICKS) / per_year.max(f64::MIN_POSITIVE);
        let length = |rng: &mut ChaCha8Rng| {
            let factor = LogNormal::new(0.0, LENGTH_SIGMA).map_or(1.0, |law| law.sample(rng));
            (LENGTH_TICKS * factor).max(1.0)
        };
        let (mut at, mut outages) = (0.0, Vec::new());
        loop {
            let wait: f64 = Exp1.sample(rng);
            at += wait * mean;
            if at >= end {
                return outages;
            }
            let over = (at + length(rng)).min(end);
            outages.push((tick(at), tick(over)));
            at = over;
        }
    }

    fn kin(&self) -> BTreeSet<(usize, usize)> {
        let group = self.group.max(1);
        let pairs = (0..self.sites).flat_map(|one| (0..one).map(move |other| (other, one)));
        pairs
            .filter(|(one, other)| one / group == other / group)
            .collect()
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between nothing and the number of ticks"
)]
fn tick(at: f64) -> usize {
    at as usize
}
