//! What the free part of a node is worth for the tasks that a plan expects.

use crate::ask::{Ask, GpuAsk, WHOLE_GPU_MILLI};
use crate::free::Free;
use crate::plan::{ONE, Task};

/// Losses that differ by less than this, in thousandths of a GPU, count as the same: then the
/// fuller node is taken, which keeps the emptier ones whole.
const BAND_MILLI: i64 = 20;

/// How much less the rest of a node is worth when it takes a replica, beside what the replica
/// itself takes; in bands of [`BAND_MILLI`]. The least is the best.
pub(crate) type Loss = i64;

/// What a plan says of the nodes of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outlook {
    /// Tasks that ask for a part of a GPU, the least part first.
    parts: Vec<Need>,
    /// Tasks that ask for whole GPUs, the fewest first.
    wholes: Vec<Need>,
    cpu_milli_per_gpu: u64,
}

/// The tasks that ask the same of GPUs.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Need {
    /// Thousandths of one GPU, or the number of whole ones.
    gpus: u64,
    /// Those that ask for least CPU first.
    tasks: Vec<Beside>,
}

/// What a task asks beside GPUs, and its weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Beside {
    cpu_milli: u64,
    memory_mib: u64,
    disk_mib: u64,
    weight: u64,
}

/// What a node's free part is worth, in 65,536ths of a thousandth of a GPU.
pub(crate) type Value = i64;

impl Outlook {
    pub(crate) fn new<'a>(tasks: impl Iterator<Item = &'a Task>, cpu_milli_per_gpu: u64) -> Self {
        let mut outlook = Self {
            cpu_milli_per_gpu,
            ..Self::default()
        };
        for task in tasks {
            match task.ask.gpus() {
                GpuAsk::None => {}
                GpuAsk::Part(part) => add(&mut outlook.parts, u64::from(part), task),
                GpuAsk::Whole(count) => add(&mut outlook.wholes, count, task),
            }
        }
        for needs in [&mut outlook.parts, &mut outlook.wholes] {
            needs.sort_unstable_by_key(|need| need.gpus);
            for need in needs {
                need.tasks.sort_unstable();
            }
        }
        outlook
    }

    /// What is free is worth as much as each task can use of it, by the tasks' weights, less the
    /// GPUs for which no CPU is left. The free GPUs must be [`Free::sorted`].
    pub(crate) fn value(&self, free: &Free) -> Value {
        let worth = self.worth_of_parts(free) + self.worth_of_wholes(free);
        signed(worth).saturating_sub(signed(self.stranded(free) * ONE))
    }

    /// What taking `ask` from a node costs the rest. A plan that expects nothing loses nothing.
    pub(crate) fn loss(&self, before: Value, free: &Free, ask: &Ask) -> Loss {
        if self.parts.is_empty() && self.wholes.is_empty() {
            return 0;
        }
        let chosen = free.choose(ask.gpus());
        let Some(left) = chosen.and_then(|gpus| free.minus(ask, gpus)) else {
            return Loss::MAX;
        };
        let taken = signed(ask.shape().gpu_milli.saturating_mul(ONE));
        let lost = before.saturating_sub(self.value(&left.into_sorted()));
        let band = BAND_MILLI * signed(ONE);
        lost.saturating_sub(taken).div_euclid(band)
    }

    fn worth_of_parts(&self, free: &Free) -> u64 {
        let mut gpus = free.gpus_milli();
        let (mut usable, mut worth) = (free.gpu_milli(), 0);
        for need in &self.parts {
            while let [least, rest @ ..] = gpus
                && u64::from(*least) < need.gpus
            {
                usable -= u64::from(*least);
                gpus = rest;
            }
            if usable == 0 {
                break;
            }
            worth += usable * need.weight(free);
        }
        worth
    }

    fn worth_of_wholes(&self, free: &Free) -> u64 {
        let whole = free.whole_gpus() as u64;
        let met = self.wholes.iter().take_while(|need| need.gpus <= whole);
        let weight: u64 = met.map(|need| need.weight(free)).sum();
        whole * u64::from(WHOLE_GPU_MILLI) * weight
    }

    fn stranded(&self, free: &Free) -> u64 {
        let whole = u64::from(WHOLE_GPU_MILLI);
        let kept_busy = free.cpu_milli().saturating_mul(whole);
        match kept_busy.checked_div(self.cpu_milli_per_gpu) {
            Some(busy) => free.gpu_milli().saturating_sub(busy),
            None => 0,
        }
    }
}

impl Need {
    /// The weight of the tasks that have all they ask beside GPUs.
    fn weight(&self, free: &Free) -> u64 {
        let has_cpu = |task: &&Beside| task.cpu_milli <= free.cpu_milli();
        let fits = |task: &&Beside| {
            task.memory_mib <= free.memory_mib() && task.disk_mib <= free.disk_mib()
        };
        let tasks = self.tasks.iter().take_while(has_cpu).filter(fits);
        tasks.map(|task| task.weight).sum()
    }
}

fn add(needs: &mut Vec<Need>, gpus: u64, task: &Task) {
    let shape = task.ask.shape();
    let beside = Beside {
        cpu_milli: shape.cpu_milli,
        memory_mib: shape.memory_mib,
        disk_mib: shape.disk_mib,
        weight: task.weight,
    };
    match needs.iter_mut().find(|need| need.gpus == gpus) {
        Some(need) => need.tasks.push(beside),
        None => needs.push(Need {
            gpus,
            tasks: vec![beside],
        }),
    }
}

fn signed(amount: u64) -> Value {
    Value::try_from(amount).unwrap_or(Value::MAX)
}

/// How much of a node's free GPUs a task could use, in thousandths: all GPUs that have its part
/// free, or are wholly free, if it has room on the node at all.
pub(crate) fn usable(ask: &Ask, free: &Free) -> u64 {
    if free.has_room(ask) {
        usable_gpu_milli(ask.gpus(), free)
    } else {
        0
    }
}

fn usable_gpu_milli(ask: GpuAsk, free: &Free) -> u64 {
    let of_at_least = |part: u16| {
        let gpus = free.gpus_milli().iter().copied();
        gpus.filter(|&milli| milli >= part).map(u64::from).sum()
    };
    match ask {
        GpuAsk::Part(part) => of_at_least(part),
        GpuAsk::Whole(_) if free.has_gpus(ask) => of_at_least(WHOLE_GPU_MILLI),
        GpuAsk::None | GpuAsk::Whole(_) => 0,
    }
}
