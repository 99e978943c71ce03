//! How much of a cluster's GPUs can be sold: the experiment of FGD (USENIX ATC'23), for placement
//! and for the policies it is held against.
//!
//! Tasks of a trace are cloned at random until the GPUs they ask for are as many times the
//! cluster's as wanted, shuffled, and arrive one by one; what does not fit is dropped, nothing
//! leaves. What is measured is the share of the cluster's GPUs that is allocated when so much has
//! arrived. [`churned`] is the same with departures, which the trace has not.

mod arrivals;
mod baseline;
mod cluster;
mod fgd;
mod ours;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use remuda_placement::GpuSet;

use crate::openb::{Machine, Task};
use cluster::Cluster;

pub use arrivals::arrivals;
pub use baseline::Baseline;
pub use ours::Ours;

/// A cluster and the tasks that it may be asked to run.
#[derive(Clone, Debug)]
pub struct Scene {
    /// The machines.
    pub machines: Vec<Machine>,
    /// The tasks, each as often as it is frequent.
    pub tasks: Vec<Task>,
}

/// A task on a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Which machine.
    pub machine: usize,
    /// Which of its GPUs.
    pub gpus: GpuSet,
}

/// Somebody who says where tasks go.
pub trait Packer {
    /// Takes a task in, if there is room.
    fn place(&mut self, task: &Task) -> Option<Placed>;
    /// Lets a task go.
    fn release(&mut self, task: &Task, placed: Placed);
}

/// Departures and arrivals go on for this many times what fills the cluster.
const CHURN_ROUNDS: u64 = 4;
/// What is asked for at once in the churned cluster, in percent of what it has.
const CHURN_LOAD_PERCENT: u64 = 110;

impl Scene {
    /// All GPUs of the cluster, in thousandths.
    pub fn gpu_milli(&self) -> u64 {
        let gpus = self.machines.iter().map(|m| u64::from(m.capacity.gpus));
        gpus.sum::<u64>() * 1_000
    }

    /// The tasks that no machine could run, were it empty.
    pub fn homeless(&self) -> Vec<&Task> {
        let names: Vec<u32> = (0..).take(self.machines.len()).collect();
        let empty = Cluster::new(self, &names);
        let fits = |task: &&Task| empty.fitting(task).next().is_some();
        self.tasks.iter().filter(|task| !fits(task)).collect()
    }
}

/// The share of the GPUs that is allocated, in percent, when `marks` percent have arrived.
pub fn filled<const N: usize>(
    scene: &Scene,
    arriving: &[Task],
    packer: &mut dyn Packer,
    marks: [u64; N],
) -> [f64; N] {
    let capacity = scene.gpu_milli();
    let (mut arrived, mut allocated) = (0, 0);
    let mut shares = [None; N];
    for task in arriving {
        arrived += task.shape.gpu_milli;
        for (share, mark) in shares.iter_mut().zip(marks) {
            if share.is_none() && arrived * 100 > capacity * mark {
                *share = Some(percent(allocated, capacity));
            }
        }
        if packer.place(task).is_some() {
            allocated += task.shape.gpu_milli;
        }
    }
    shares.map(|share| share.unwrap_or(percent(allocated, capacity)))
}

/// The share of the GPUs that is allocated, in percent, on average over the second half of a long
/// run in which tasks leave at random as others come, so that 110 % is asked for all along.
pub fn churned(scene: &Scene, seed: u64, packer: &mut dyn Packer) -> f64 {
    let capacity = scene.gpu_milli();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut running: Vec<(&Task, Option<Placed>)> = Vec::new();
    let (mut asked, mut allocated, mut arrived) = (0, 0, 0);
    let (mut sum, mut samples) = (0.0, 0_u32);
    while arrived < capacity * CHURN_ROUNDS {
        let task = &scene.tasks[rng.random_range(0..scene.tasks.len())];
        let gpus = task.shape.gpu_milli;
        while !running.is_empty() && (asked + gpus) * 100 > capacity * CHURN_LOAD_PERCENT {
            let (leaves, placed) = running.swap_remove(rng.random_range(0..running.len()));
            asked -= leaves.shape.gpu_milli;
            if let Some(placed) = placed {
                packer.release(leaves, placed);
                allocated -= leaves.shape.gpu_milli;
            }
        }
        let placed = packer.place(task);
        allocated += if placed.is_some() { gpus } else { 0 };
        (asked, arrived) = (asked + gpus, arrived + gpus);
        running.push((task, placed));
        if arrived * 2 > capacity * CHURN_ROUNDS {
            sum += percent(allocated, capacity);
            samples += 1;
        }
    }
    sum / f64::from(samples.max(1))
}

#[expect(clippy::cast_precision_loss, reason = "amounts far below 2^52")]
fn percent(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64 * 100.0
}

#[cfg(test)]
mod tests;
