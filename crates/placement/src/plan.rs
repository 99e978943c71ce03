//! What the network expects to be asked, and what free capacity is worth for it.
//!
//! Packing by fragmentation (FGD, USENIX ATC'23) keeps what is free usable by the tasks that are
//! expected: of the nodes that could take a replica it prefers the one whose capacity loses least
//! by it. FGD weighs each task by how often it is asked for, whether what it can use is plentiful
//! or about to run out; so the nodes of a scarce class, or whole empty nodes, go to tasks that
//! could have run anywhere. Here a task's weight also grows as what it can use becomes scarce
//! beside what is free in all: the scarce is guarded, and nothing else changes.
//!
//! A plan is made off the critical path, now and then; it does not change as nodes fill. Making one looks at every state that nodes are in.

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
const COVERAGE_PERCENT: u64 = 95;
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    tasks: Vec<Task>,
    cpu_milli_per_gpu: u64,
    congestion: Congestion,
}

/// A task and what a thousandth of a GPU that it can use is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Task {
    pub(crate) ask: Ask,
    classes: Vec<Class>,
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
        let mut counted: Vec<_> = expected.into_iter().collect();
        counted.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        let cpu_milli_per_gpu = cpu_milli_per_gpu(&counted);
        keep_frequent(&mut counted);
        let total = counted.iter().map(|(_, count)| count).sum::<u64>().max(1);
        let free = free_gpu_milli(fleet);
        let tasks = counted.into_iter().map(|(expected, count)| Task {
            ask: expected.ask,
            classes: expected.classes.clone(),
            weight: weight(count, total, free, usable_by(fleet, expected)),
        });
        let tasks = tasks.filter(|task| task.ask.gpus().count() > 0).collect();
        Self {
            tasks,
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
    let with_gpu = counted
        .iter()
        .filter(|(task, _)| task.ask.gpus().count() > 0);
    let (mut cpu, mut gpus) = (0_u128, 0_u128);
    for (task, count) in with_gpu {
        let shape = task.ask.shape();
        cpu += u128::from(shape.cpu_milli) * u128::from(*count);
        gpus += u128::from(shape.gpu_milli) * u128::from(*count);
    }
    let per_gpu = cpu * u128::from(WHOLE_GPU_MILLI) / gpus.max(1);
    u64::try_from(per_gpu).unwrap_or(u64::MAX)
}

fn keep_frequent(counted: &mut Vec<(&Expected, u64)>) {
    let total: u64 = counted.iter().map(|(_, count)| count).sum();
    let (mut covered, mut keep) = (0_u64, 0);
    while keep < counted.len().min(TASKS_MAX) && covered * 100 < total * COVERAGE_PERCENT {
        covered += counted[keep].1;
        keep += 1;
    }
    counted.truncate(keep);
}

fn weight(count: u64, total: u64, free: u64, usable: u64) -> u64 {
    let scarcity = u128::from(free) * u128::from(ONE) / u128::from(usable.max(1));
    let scarcity = scarcity.min(u128::from(SCARCITY_MAX * ONE));
    let weight = u128::from(count) * scarcity / u128::from(total);
    u64::try_from(weight).unwrap_or(u64::MAX)
}

fn free_gpu_milli(fleet: &Fleet) -> u64 {
    let states = fleet.open_states();
    states
        .map(|(_, free, nodes)| free.gpu_milli() * nodes)
        .sum()
}

/// How much of all that is free a task can use, in thousandths of a GPU.
fn usable_by(fleet: &Fleet, task: &Expected) -> u64 {
    let shape = task.ask.shape();
    let of = |(common, free, nodes): (&crate::pool::Common, &Free, u64)| {
        let there = runs_on(&task.classes, common.class)
            && shape.gpu_memory_mib <= common.capacity.gpu_memory_mib;
        if there {
            usable(&task.ask, free) * nodes
        } else {
            0
        }
    };
    fleet.open_states().map(of).sum()
}
