//! The order in which tasks arrive, and names for machines, both drawn from a seed.

use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

use super::Scene;
use crate::openb::Task;

/// The tasks of the scene, cloned at random until they ask for `percent` of its GPUs, or as many
/// of them as ask for no more, shuffled.
pub fn arrivals(scene: &Scene, seed: u64, percent: u64) -> Vec<Task> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let wanted = scene.gpu_milli() * percent / 100;
    let mut tasks = scene.tasks.clone();
    let mut asked: u64 = tasks.iter().map(|task| task.shape.gpu_milli).sum();
    while asked < wanted {
        let clone = &scene.tasks[rng.random_range(0..scene.tasks.len())];
        asked += clone.shape.gpu_milli;
        tasks.push(clone.clone());
    }
    tasks.shuffle(&mut rng);
    while asked > wanted {
        asked -= tasks.pop().map_or(asked, |task| task.shape.gpu_milli);
    }
    tasks
}

/// A name for each machine, lower ones first in a tie. The order of a trace's file is that of its
/// hardware, so ties to the lower line would be ties to a model.
pub(super) fn names(machines: usize, seed: u64) -> Vec<u32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x6e61_6d65);
    let mut names: Vec<u32> = (0..).take(machines).collect();
    names.shuffle(&mut rng);
    names
}
