//! What the network expects to be asked, and what free capacity is worth for it.
//!
//! Packing by fragmentation (FGD, USENIX ATC'23) keeps what is free usable by the tasks that are
//! expected: of the nodes that could take a replica it prefers the one whose capacity loses least
//! by it. FGD weighs each task by how often it is asked for, whether what it can use is plentiful
//! or about to run out; so the nodes of a scarce class, or whole empty nodes, go to tasks that
//! could have run anywhere. Here a task's weight also grows as what it can use becomes scarce
//! beside what is free in all: the scarce is guarded, and nothing else changes.
//!
//! A plan is made off the critical path, now and then; it does not change as nodes fill. Making one
//! looks at every state that nodes are in.

use minicbor::{Decode, Encode};
use remuda_types::{Class, Shape};

use crate::ask::{Ask, WHOLE_GPU_MILLI};
use crate::congestion::Congestion;
use crate::fleet::Fleet;
use crate::free::Free;
use crate::request::RequestError;
use crate::worth::{Outlook, usable};

/// The most tasks that a plan tells apart; what is rarer is left out.
const TASKS_MAX: usize = 128;
/// Tasks are taken, most frequent first, until they make up this much of what is expected.
const COVERAGE_PERCENT: u128 = 95;
/// How much more a task counts at most because what it can use is scarce.
const SCARCITY_MAX: u64 = 50;
/// One, in the fixed point of the weights.
pub(crate) const ONE: u64 = 1 << 16;

/// A task that is expected.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Expected {
    ask: Ask,
    classes: Vec<Class>,
}

/// How places are to be told apart beyond their prices: for what is expected, and by how full
/// they are. Without one, the fullest node of the lowest price is taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct Plan {
    #[n(0)]
    tasks: Vec<Task>,
    #[n(1)]
    cpu_milli_per_gpu: u64,
    #[n(2)]
    congestion: Congestion,
}

/// A task and what a thousandth of a GPU that it can use is worth.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub(crate) struct Task {
    #[n(0)]
    pub(crate) ask: Ask,
    #[n(1)]
    classes: Vec<Class>,
    #[n(2)]
    pub(crate) weight: u64,
}

impl Expected {
    /// A task of this shape that runs on these classes; none means any.
    pub fn new(shape: Shape, mut classes: Vec<Class>) -> Result<Self, RequestError> {
        classes.sort_unstable();
        classes.dedup();
        let ask = Ask::new(shape)?;
        Ok(Self { ask, classes })
    }
}

impl Plan {
    /// A plan for `fleet` as it is now, when each of `expected` is asked for that often.
    pub fn new<'a>(
        fleet: &Fleet,
        expected: impl IntoIterator<Item = (&'a Expected, u64)>,
        congestion: Congestion,
    ) -> Self {
        let asks_gpus = |(task, _): &(&Expected, u64)| task.ask.gpus().count() > 0;
        let mut counted: Vec<_> = expected.into_iter().filter(asks_gpus).collect();
        counted.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        let cpu_milli_per_gpu = cpu_milli_per_gpu(&counted);
        keep_frequent(&mut counted);
        let total = sum(&counted).max(1);
        let free = free_gpu_milli(fleet);
        let tasks = counted.into_iter().map(|(expected, count)| Task {
            ask: expected.ask,
            classes: expected.classes.clone(),
            weight: weight(count, total, free, usable_by(fleet, expected)),
        });
        Self {
            tasks: tasks.collect(),
            cpu_milli_per_gpu,
            congestion,
        }
    }

    pub(crate) const fn congestion(&self) -> &Congestion {
        &self.congestion
    }

    /// What the plan says of nodes of one class.
    pub(crate) fn outlook(&self, class: Class, gpu_memory_mib: u64) -> Outlook {
        let runs_there = |task: &&Task| {
            runs_on(&task.classes, class) && task.ask.shape().gpu_memory_mib <= gpu_memory_mib
        };
        Outlook::new(self.tasks.iter().filter(runs_there), self.cpu_milli_per_gpu)
    }
}

fn runs_on(classes: &[Class], class: Class) -> bool {
    classes.is_empty() || classes.contains(&class)
}

/// The CPU that the expected tasks take beside each GPU: GPUs left with less are stranded.
fn cpu_milli_per_gpu(counted: &[(&Expected, u64)]) -> u64 {
    let (mut cpu, mut gpus) = (0_u128, 0_u128);
    for (task, count) in counted {
        let shape = task.ask.shape();
        cpu = cpu.saturating_add(u128::from(shape.cpu_milli) * u128::from(*count));
        gpus = gpus.saturating_add(u128::from(shape.gpu_milli) * u128::from(*count));
    }
    let per_gpu = cpu.saturating_mul(u128::from(WHOLE_GPU_MILLI)) / gpus.max(1);
    u64::try_from(per_gpu).unwrap_or(u64::MAX)
}

fn keep_frequent(counted: &mut Vec<(&Expected, u64)>) {
    let total = sum(counted);
    let (mut covered, mut keep) = (0_u128, 0);
    while keep < counted.len().min(TASKS_MAX) && covered * 100 < total * COVERAGE_PERCENT {
        covered += u128::from(counted[keep].1);
        keep += 1;
    }
    counted.truncate(keep);
}

/// How many tasks are expected in all.
fn sum(counted: &[(&Expected, u64)]) -> u128 {
    counted.iter().map(|(_, count)| u128::from(*count)).sum()
}

fn weight(count: u64, total: u128, free: u64, usable: u64) -> u64 {
    let scarcity = u128::from(free) * u128::from(ONE) / u128::from(usable.max(1));
    let scarcity = scarcity.min(u128::from(SCARCITY_MAX * ONE));
    let weight = u128::from(count) * scarcity / total;
    u64::try_from(weight).unwrap_or(u64::MAX)
}

fn free_gpu_milli(fleet: &Fleet) -> u64 {
    let states = fleet.open_states();
    states
        .map(|(_, free, nodes)| free.gpu_milli() * nodes)
        .fold(0, u64::saturating_add)
}

/// How much of all that is free a task can use, in thousandths of a GPU.
fn usable_by(fleet: &Fleet, task: &Expected) -> u64 {
    let shape = task.ask.shape();
    let of = |((class, memory_mib), free, nodes): ((Class, u64), &Free, u64)| {
        let there = runs_on(&task.classes, class) && shape.gpu_memory_mib <= memory_mib;
        if there {
            usable(&task.ask, free) * nodes
        } else {
            0
        }
    };
    fleet.open_states().map(of).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(gpu_milli: u64, cpu_milli: u64) -> Expected {
        let shape = Shape {
            gpu_milli,
            cpu_milli,
            ..Shape::default()
        };
        Expected::new(shape, vec![]).unwrap()
    }

    fn plan(expected: &[(Expected, u64)]) -> Plan {
        let counted = expected.iter().map(|(task, count)| (task, *count));
        Plan::new(&Fleet::new(), counted, Congestion::default())
    }

    #[test]
    fn tasks_without_gpus_do_not_crowd_out_the_others() {
        let gpus = [(expected(1_000, 1), 3), (expected(500, 1), 2)];
        let many = (expected(0, 1), 1_000_000);
        let with_many = [gpus[0].clone(), many, gpus[1].clone()];
        assert_eq!(plan(&with_many), plan(&gpus));
        assert_eq!(plan(&gpus).tasks.len(), 2);
    }

    #[test]
    fn counts_at_the_edge_add_up() {
        let most = [1_000, 2_000, 3_000].map(|milli| (expected(milli, u64::MAX), u64::MAX));
        let planned = plan(&most);
        assert_eq!(planned.tasks.len(), 3);
        assert!(
            planned
                .tasks
                .iter()
                .all(|task| task.weight == planned.tasks[0].weight)
        );
    }
}
