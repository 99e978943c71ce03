//! Placement itself, at the cluster of the experiment.

use std::collections::BTreeMap;

use remuda_placement::{Congestion, Expected, Fleet, NodeOffer, Plan, Request, find};
use remuda_types::{Country, NodeKey, Place, Price, ProviderId, SiteId};

use super::arrivals::names;
use super::{Packer, Placed, Scene};
use crate::openb::Task;

/// A new plan is made when so much of the cluster was asked for since the last, in percent.
const REPLAN_PERCENT: u64 = 20;

/// Placement, with a plan that is made anew now and then.
pub struct Ours {
    fleet: Fleet,
    machines: BTreeMap<NodeKey, usize>,
    keys: Vec<NodeKey>,
    expected: BTreeMap<Expected, u64>,
    capacity: u64,
    /// What was asked for since the plan was made.
    asked: u64,
}

impl Ours {
    /// Placement at an empty cluster of one site at one price; keys of nodes are drawn from the
    /// seed.
    pub fn new(scene: &Scene, seed: u64) -> Self {
        let names = names(scene.machines.len(), seed);
        let keys: Vec<NodeKey> = names.iter().copied().map(key).collect();
        let mut fleet = Fleet::new();
        for (machine, node) in scene.machines.iter().zip(&keys) {
            let offer = NodeOffer {
                node: *node,
                provider: ProviderId::from_u128(1),
                site: SiteId::from_u128(1),
                country: Country::UNKNOWN,
                place: Place::ORIGIN,
                class: machine.class,
                capacity: machine.capacity,
                price: Price::default(),
            };
            let taken = fleet.upsert(&offer);
            debug_assert!(taken.is_ok(), "the reader bounds GPUs: {taken:?}");
        }
        let mut ours = Self {
            fleet,
            machines: keys.iter().copied().zip(0..).collect(),
            keys,
            expected: expected(&scene.tasks),
            capacity: scene.gpu_milli(),
            asked: 0,
        };
        ours.plan();
        ours
    }

    fn plan(&mut self) {
        let expected = self.expected.iter().map(|(task, count)| (task, *count));
        let plan = Plan::new(&self.fleet, expected, Congestion::default());
        self.fleet.set_plan(plan);
        self.asked = 0;
    }
}

impl Packer for Ours {
    fn place(&mut self, task: &Task) -> Option<Placed> {
        if self.asked * 100 > self.capacity * REPLAN_PERCENT {
            self.plan();
        }
        self.asked += task.shape.gpu_milli;
        let mut request = Request::new(task.shape).ok()?;
        if task.shape.gpu_milli > 0 {
            request.classes.clone_from(&task.classes);
        }
        let placed = find(&mut self.fleet, &request)?;
        let held = self.fleet.hold_on(placed.node, &task.shape, placed.gpus);
        held.ok()?;
        Some(Placed {
            machine: *self.machines.get(&placed.node)?,
            gpus: placed.gpus,
        })
    }

    fn release(&mut self, task: &Task, placed: Placed) {
        let node = self.keys[placed.machine];
        let released = self.fleet.release_on(node, &task.shape, placed.gpus);
        debug_assert!(released.is_ok(), "{released:?}");
    }
}

fn expected(tasks: &[Task]) -> BTreeMap<Expected, u64> {
    let mut counts = BTreeMap::new();
    for task in tasks {
        if let Ok(expected) = Expected::new(task.shape, task.classes.clone()) {
            *counts.entry(expected).or_default() += 1;
        }
    }
    counts
}

/// A key that sorts as the name does.
fn key(name: u32) -> NodeKey {
    let mut key = [0; 32];
    key[..4].copy_from_slice(&name.to_be_bytes());
    NodeKey(key)
}
