//! The policies that placement is held against. None of them is in the product's path.

use std::collections::BTreeSet;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use super::arrivals::names;
use super::cluster::{Cluster, Gpus, State};
use super::fgd::Fgd;
use super::{Packer, Placed, Scene};
use crate::openb::Task;

/// A policy of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Baseline {
    /// Any machine that fits.
    Random,
    /// The first by name.
    FirstFit,
    /// The machine that has least left.
    BestFit,
    /// The machine whose free part is least like what is asked (Grandl et al., SIGCOMM'14).
    DotProduct,
    /// The machine with most tasks that ask the same of GPUs (Gandiva, OSDI'18).
    Clustering,
    /// GPUs in use first, then machines in use, then empty ones (Weng et al., NSDI'22).
    Packing,
    /// Fragmentation gradient descent (USENIX ATC'23).
    Fgd,
}

/// A baseline at work.
struct Bench {
    policy: Baseline,
    cluster: Cluster,
    fgd: Fgd,
    rng: ChaCha8Rng,
}

impl Baseline {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Random,
        Self::FirstFit,
        Self::BestFit,
        Self::DotProduct,
        Self::Clustering,
        Self::Packing,
        Self::Fgd,
    ];

    /// The policy at an empty cluster; names of machines, and chance, are drawn from the seed.
    pub fn packer(self, scene: &Scene, seed: u64) -> Box<dyn Packer> {
        Box::new(Bench {
            policy: self,
            cluster: Cluster::new(scene, &names(scene.machines.len(), seed)),
            fgd: Fgd::new(scene),
            rng: ChaCha8Rng::seed_from_u64(seed),
        })
    }
}

impl Packer for Bench {
    fn place(&mut self, task: &Task) -> Option<Placed> {
        let (name, after) = match self.policy {
            Baseline::Random => self.any(task)?,
            _ => self.best(task)?,
        };
        Some(self.cluster.take(name, task, &after))
    }

    fn release(&mut self, task: &Task, placed: Placed) {
        self.cluster.give_back(task, placed);
    }
}

impl Bench {
    /// Any machine that fits, and any of its GPUs.
    fn any(&mut self, task: &Task) -> Option<(u32, State)> {
        let machines = |(_, names): (&State, &BTreeSet<u32>)| names.len();
        let fitting: usize = self.cluster.fitting(task).map(machines).sum();
        let nth = self.rng.random_range(0..fitting.max(1));
        let alike = |(state, names): (&_, &BTreeSet<u32>)| {
            let state: &State = state;
            names
                .iter()
                .map(|name| (*name, state.clone()))
                .collect::<Vec<_>>()
        };
        let (name, state) = self.cluster.fitting(task).flat_map(alike).nth(nth)?;
        let mut left = state.after(task);
        let after = left.swap_remove(self.rng.random_range(0..left.len()));
        Some((name, after))
    }

    /// The machine of the highest score; of those the one of the lowest name.
    fn best(&mut self, task: &Task) -> Option<(u32, State)> {
        let (policy, fgd) = (self.policy, &mut self.fgd);
        let choice = |(state, names): (&State, &BTreeSet<u32>)| {
            let name = *names.first()?;
            let left = state.after(task).into_iter().rev();
            let scored = left.map(|after| (score(policy, fgd, task, (state, &after), name), after));
            let (score, after) = scored.max_by_key(|(score, _)| *score)?;
            Some((score, std::cmp::Reverse(name), after))
        };
        let choices = self.cluster.fitting(task).filter_map(choice);
        let (_, name, after) = choices.max_by_key(|(score, name, _)| (*score, *name))?;
        Some((name.0, after))
    }
}

/// The higher the better; ties go to the lowest name.
fn score(
    policy: Baseline,
    fgd: &mut Fgd,
    task: &Task,
    (before, after): (&State, &State),
    name: u32,
) -> i64 {
    match policy {
        Baseline::Random | Baseline::FirstFit => -i64::from(name),
        Baseline::BestFit => -fixed(shares_left(after)),
        Baseline::DotProduct => -fixed(alike(before, task)),
        Baseline::Clustering => fixed(same_asked(before, task)),
        Baseline::Packing => in_use(before, after, task),
        Baseline::Fgd => fgd.score(before, after),
    }
}

/// The largest machine of the trace: what shares are of.
const LARGEST_CPU_MILLI: f64 = 128_000.0;
const LARGEST_GPU_MILLI: f64 = 8_000.0;

#[expect(clippy::cast_precision_loss, reason = "amounts far below 2^52")]
fn shares(cpu_milli: u64, gpu_milli: u64) -> (f64, f64) {
    let cpu = cpu_milli as f64 / LARGEST_CPU_MILLI;
    (cpu, gpu_milli as f64 / LARGEST_GPU_MILLI)
}

fn shares_left(after: &State) -> f64 {
    let (cpu, gpus) = shares(after.cpu_milli, after.left());
    cpu + gpus
}

fn alike(before: &State, task: &Task) -> f64 {
    let (cpu, gpus) = shares(before.cpu_milli, before.left());
    let (asked_cpu, asked_gpus) = shares(task.shape.cpu_milli, task.shape.gpu_milli);
    cpu * asked_cpu + gpus * asked_gpus
}

/// The share of the machine's used GPUs that tasks of the same kind, parts or whole ones, are on.
fn same_asked(before: &State, task: &Task) -> f64 {
    let whole = before.gpus.iter().filter(|&&milli| milli == 0).count();
    let parts = before.gpus.len() - whole - before.whole();
    let same = match Gpus::of(task) {
        Gpus::None => 0,
        Gpus::Part(_) => parts,
        Gpus::Whole(_) => whole,
    };
    let count = |gpus: usize| f64::from(u32::try_from(gpus).unwrap_or(u32::MAX));
    count(same) / count((whole + parts).max(1))
}

fn in_use(before: &State, after: &State, task: &Task) -> i64 {
    let used = |state: &State| state.total.2 - state.whole();
    let count = |gpus: usize| i64::try_from(gpus).unwrap_or(i64::MAX);
    match Gpus::of(task) {
        Gpus::Part(_) if used(after) == used(before) => 200 - count(before.gpus.len()),
        _ if used(before) > 0 => 100 - count(before.whole()),
        _ => -count(before.gpus.len()),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "shares are far below 2^40")]
fn fixed(share: f64) -> i64 {
    (share * 1e6) as i64
}
