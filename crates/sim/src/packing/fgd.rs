//! The score of FGD: how much less of a machine is left in fragments.
//!
//! Weng et al., "Beware of Fragmentation" (USENIX ATC'23), as its simulator computes it: tasks by
//! how many they are, the rarest twentieth left out; whole points of a hundred; ties to the lowest
//! name. The published figures rest on the last two: scores that are not rounded, with ties at
//! random, pack worse than best fit does.

use std::collections::{BTreeMap, HashMap};

use remuda_types::Class;

use super::Scene;
use super::cluster::{Gpus, State, WHOLE};
use crate::openb::Task;

/// How much of the tasks the typical ones make up.
const POPULAR: f64 = 0.95;

/// The tasks that are typical, and what is in fragments in the states seen so far.
#[derive(Clone, Debug)]
pub(super) struct Fgd {
    typical: Vec<(Typical, f64)>,
    seen: HashMap<State, f64>,
}

/// What tells typical tasks apart; memory does not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Typical {
    gpu_milli: u64,
    cpu_milli: u64,
    classes: Vec<Class>,
}

impl Fgd {
    pub(super) fn new(scene: &Scene) -> Self {
        Self {
            typical: typical(scene),
            seen: HashMap::new(),
        }
    }

    /// Points of a hundred for leaving `after` where `before` was.
    #[expect(clippy::cast_possible_truncation, reason = "between 0 and 100")]
    pub(super) fn score(&mut self, before: &State, after: &State) -> i64 {
        let fewer = (self.fragments(before) - self.fragments(after)) / f64::from(WHOLE);
        (100.0 / (1.0 + (-fewer).exp())) as i64
    }

    fn fragments(&mut self, state: &State) -> f64 {
        if let Some(known) = self.seen.get(state) {
            return *known;
        }
        let of = |(task, share): &(Typical, f64)| share * in_fragments(state, task);
        let fragments = self.typical.iter().map(of).sum();
        self.seen.insert(state.clone(), fragments);
        fragments
    }
}

/// How much of the machine's free GPUs such a task cannot use, in thousandths.
#[expect(clippy::cast_precision_loss, reason = "amounts far below 2^52")]
fn in_fragments(state: &State, task: &Typical) -> f64 {
    let runs = task.classes.is_empty() || task.classes.contains(&state.class);
    let gpus = task.gpus();
    let fits =
        task.gpu_milli > 0 && runs && task.cpu_milli <= state.cpu_milli && state.has_gpus(gpus);
    if !fits {
        return state.left() as f64;
    }
    let least = match gpus {
        Gpus::Part(part) => part,
        Gpus::None | Gpus::Whole(_) => WHOLE,
    };
    let too_little = state.gpus.iter().filter(|&&milli| milli < least);
    too_little.copied().map(f64::from).sum()
}

impl Typical {
    fn of(task: &Task) -> Self {
        Self {
            gpu_milli: task.shape.gpu_milli,
            cpu_milli: task.shape.cpu_milli,
            classes: task.classes.clone(),
        }
    }

    fn gpus(&self) -> Gpus {
        let whole = u64::from(WHOLE);
        match u16::try_from(self.gpu_milli) {
            Ok(0) => Gpus::None,
            Ok(part) if part < WHOLE => Gpus::Part(part),
            _ => Gpus::Whole(usize::try_from(self.gpu_milli / whole).unwrap_or(usize::MAX)),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn typical(scene: &Scene) -> Vec<(Typical, f64)> {
    let mut counts: BTreeMap<Typical, u64> = BTreeMap::new();
    for task in &scene.tasks {
        *counts.entry(Typical::of(task)).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let (mut covered, mut typical) = (0.0, Vec::new());
    for (task, count) in counts {
        if covered >= POPULAR * scene.tasks.len() as f64 {
            break;
        }
        covered += count as f64;
        typical.push((task, count as f64));
    }
    for (_, share) in &mut typical {
        *share /= covered;
    }
    typical
}
