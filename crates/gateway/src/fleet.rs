//! The models this gateway serves: for each a lane with its replicas and those who wait for them.

mod lane;
mod pacer;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use remuda_routing::pick;
use remuda_types::{Time, WorkloadId};
use remuda_wire::gateway::{ModelRoute, ReplicaRoute, RouteState, RouteTable};

use crate::config::Policies;
pub(crate) use lane::{Lane, Ticket};

/// All lanes.
#[derive(Debug)]
pub(crate) struct Fleet {
    policies: Policies,
    lanes: Mutex<BTreeMap<WorkloadId, Arc<Lane>>>,
}

impl Fleet {
    pub(crate) fn new(policies: &Policies) -> Self {
        Self {
            policies: *policies,
            lanes: Mutex::default(),
        }
    }

    /// Takes control's table. The lane of a workload that is gone lives on in its last requests.
    pub(crate) fn update(&self, table: &RouteTable, now: Time) {
        let mut lanes = self.lanes();
        let mut gone = std::mem::take(&mut *lanes);
        for model in &table.models {
            let lane = gone
                .remove(&model.workload)
                .unwrap_or_else(|| Lane::new(&self.policies));
            lane.update(routes(model), now);
            lanes.insert(model.workload, lane);
        }
        drop(lanes);
        for lane in gone.values() {
            lane.update(Vec::new(), now);
        }
    }

    /// The lane of a workload, if the table has it.
    pub(crate) fn lane(&self, workload: WorkloadId) -> Option<Arc<Lane>> {
        self.lanes().get(&workload).cloned()
    }

    /// Time has passed: those who waited too long are told, and pauses that are over let others go.
    pub(crate) fn tick(&self, now: Time) {
        let lanes: Vec<_> = self.lanes().values().cloned().collect();
        for lane in &lanes {
            lane.tick(now);
        }
    }

    /// How many wait for each workload.
    pub(crate) fn waiting(&self) -> Vec<(WorkloadId, usize)> {
        self.lanes()
            .iter()
            .map(|(workload, lane)| (*workload, lane.waiting()))
            .collect()
    }

    fn lanes(&self) -> MutexGuard<'_, BTreeMap<WorkloadId, Arc<Lane>>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn routes(model: &ModelRoute) -> Vec<pick::Route> {
    model.replicas.iter().map(route).collect()
}

fn route(replica: &ReplicaRoute) -> pick::Route {
    pick::Route {
        lease: replica.lease,
        node: replica.node,
        state: match replica.state {
            RouteState::Ready => pick::State::Ready,
            RouteState::Suspect => pick::State::Suspect,
            RouteState::Draining => pick::State::Draining,
        },
        slots: replica.slots,
        price: None,
    }
}
