//! A cluster as the baselines see it: states that machines are in, and the machines in each.

use std::collections::{BTreeMap, BTreeSet};

use remuda_placement::GpuSet;
use remuda_types::Class;

use super::{Placed, Scene};
use crate::openb::Task;

/// Thousandths of one whole GPU.
pub(super) const WHOLE: u16 = 1_000;

/// What is free on a machine, whichever it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct State {
    pub(super) class: Class,
    pub(super) cpu_milli: u64,
    pub(super) memory_mib: u64,
    /// Thousandths free of each GPU, least first.
    pub(super) gpus: Vec<u16>,
    /// What the machine has in all: CPU, memory, GPUs.
    pub(super) total: (u64, u64, usize),
}

/// What a task asks of GPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gpus {
    None,
    Part(u16),
    Whole(usize),
}

/// The machines by state and name.
#[derive(Clone, Debug)]
pub(super) struct Cluster {
    machines: Vec<Machine>,
    /// Machines by name: a name's place here.
    by_name: Vec<usize>,
    present: BTreeMap<State, BTreeSet<u32>>,
}

#[derive(Clone, Debug)]
struct Machine {
    name: u32,
    state: State,
    /// Thousandths free of each GPU, by index.
    gpus: Vec<u16>,
}

impl Gpus {
    pub(super) fn of(task: &Task) -> Self {
        let whole = u64::from(WHOLE);
        match task.shape.gpu_milli {
            0 => Self::None,
            part if part < whole => Self::Part(u16::try_from(part).unwrap_or(WHOLE)),
            gpus => Self::Whole(usize::try_from(gpus / whole).unwrap_or(usize::MAX)),
        }
    }
}

impl State {
    pub(super) fn left(&self) -> u64 {
        self.gpus.iter().copied().map(u64::from).sum()
    }

    pub(super) fn whole(&self) -> usize {
        self.gpus.iter().filter(|&&milli| milli == WHOLE).count()
    }

    pub(super) fn has_gpus(&self, gpus: Gpus) -> bool {
        match gpus {
            Gpus::None => true,
            Gpus::Part(part) => self.gpus.last().is_some_and(|&most| most >= part),
            Gpus::Whole(count) => self.whole() >= count,
        }
    }

    pub(super) fn runs(&self, task: &Task) -> bool {
        task.shape.gpu_milli == 0 || task.classes.is_empty() || task.classes.contains(&self.class)
    }

    pub(super) fn fits(&self, task: &Task) -> bool {
        self.runs(task)
            && task.shape.cpu_milli <= self.cpu_milli
            && task.shape.memory_mib <= self.memory_mib
            && self.has_gpus(Gpus::of(task))
    }

    /// What could be left after the task: one for each kind of GPU that its part could be on, the
    /// fullest first.
    pub(super) fn after(&self, task: &Task) -> Vec<Self> {
        let mut rest = self.clone();
        rest.cpu_milli -= task.shape.cpu_milli;
        rest.memory_mib -= task.shape.memory_mib;
        let with = |gpus: &[u16]| {
            let mut state = rest.clone();
            state.gpus = gpus.to_vec();
            state.gpus.sort_unstable();
            state
        };
        match Gpus::of(task) {
            Gpus::None => vec![rest],
            Gpus::Whole(count) => {
                let mut gpus = self.gpus.clone();
                gpus.iter_mut()
                    .rev()
                    .take(count)
                    .for_each(|milli| *milli = 0);
                vec![with(&gpus)]
            }
            Gpus::Part(part) => {
                let mut kinds: Vec<u16> =
                    self.gpus.iter().copied().filter(|&m| m >= part).collect();
                kinds.dedup();
                let on = |kind: u16| {
                    let mut gpus = self.gpus.clone();
                    if let Some(milli) = gpus.iter_mut().find(|milli| **milli == kind) {
                        *milli -= part;
                    }
                    with(&gpus)
                };
                kinds.into_iter().map(on).collect()
            }
        }
    }
}

impl Cluster {
    /// An empty cluster whose machines have these names.
    pub(super) fn new(scene: &Scene, names: &[u32]) -> Self {
        let mut cluster = Self {
            machines: Vec::new(),
            by_name: vec![0; names.len()],
            present: BTreeMap::new(),
        };
        for (index, (machine, &name)) in scene.machines.iter().zip(names).enumerate() {
            let capacity = machine.capacity;
            let gpus = vec![WHOLE; capacity.gpus as usize];
            let state = State {
                class: machine.class,
                cpu_milli: capacity.cpu_milli,
                memory_mib: capacity.memory_mib,
                total: (capacity.cpu_milli, capacity.memory_mib, gpus.len()),
                gpus: gpus.clone(),
            };
            cluster
                .present
                .entry(state.clone())
                .or_default()
                .insert(name);
            cluster.machines.push(Machine { name, state, gpus });
            cluster.by_name[name as usize] = index;
        }
        cluster
    }

    /// The states that the task fits, each with the names of its machines.
    pub(super) fn fitting(&self, task: &Task) -> impl Iterator<Item = (&State, &BTreeSet<u32>)> {
        self.present.iter().filter(|(state, _)| state.fits(task))
    }

    /// Puts a task on the machine of this name, so that `after` is left.
    pub(super) fn take(&mut self, name: u32, task: &Task, after: &State) -> Placed {
        let machine = self.by_name[name as usize];
        let gpus = self.chosen(machine, task, after);
        let each = match Gpus::of(task) {
            Gpus::Part(part) => part,
            Gpus::None | Gpus::Whole(_) => WHOLE,
        };
        for index in gpus.indices() {
            self.machines[machine].gpus[index] -= each;
        }
        self.file(machine, after.clone());
        Placed { machine, gpus }
    }

    /// Gives back what a task had.
    pub(super) fn give_back(&mut self, task: &Task, placed: Placed) {
        let each = match Gpus::of(task) {
            Gpus::Part(part) => part,
            Gpus::None | Gpus::Whole(_) => WHOLE,
        };
        let machine = &mut self.machines[placed.machine];
        for index in placed.gpus.indices() {
            machine.gpus[index] += each;
        }
        let mut state = machine.state.clone();
        state.cpu_milli += task.shape.cpu_milli;
        state.memory_mib += task.shape.memory_mib;
        state.gpus.clone_from(&machine.gpus);
        state.gpus.sort_unstable();
        self.file(placed.machine, state);
    }

    /// The GPUs of a machine that the task takes when `after` is left.
    fn chosen(&self, machine: usize, task: &Task, after: &State) -> GpuSet {
        let Machine { gpus, state, .. } = &self.machines[machine];
        let indexed = || gpus.iter().copied().enumerate();
        match Gpus::of(task) {
            Gpus::None => GpuSet::default(),
            Gpus::Whole(count) => {
                let whole = indexed().filter(|&(_, milli)| milli == WHOLE);
                whole.take(count).map(|(index, _)| index).collect()
            }
            Gpus::Part(part) => {
                let leaves = |kind: u16| {
                    let mut left = state.gpus.clone();
                    if let Some(milli) = left.iter_mut().find(|milli| **milli == kind) {
                        *milli -= part;
                    }
                    left.sort_unstable();
                    left == after.gpus
                };
                let found = indexed().find(|&(_, milli)| milli >= part && leaves(milli));
                found.map(|(index, _)| index).into_iter().collect()
            }
        }
    }

    fn file(&mut self, machine: usize, state: State) {
        let Machine {
            name, state: old, ..
        } = &mut self.machines[machine];
        let old = std::mem::replace(old, state.clone());
        if let Some(names) = self.present.get_mut(&old) {
            names.remove(name);
            if names.is_empty() {
                self.present.remove(&old);
            }
        }
        self.present.entry(state).or_default().insert(*name);
    }
}
