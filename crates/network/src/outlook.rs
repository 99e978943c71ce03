//! What a plan of the network has to look out for: what runs, by shape, and what waits, by kind of
//! demand. Linear in the workloads; made off the path of commands.

use std::collections::BTreeMap;

use remuda_placement::{DemandClass, Expected};

use crate::state::{Replica, State, Terms, Workload};

/// What is wanted of a network, summed up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outlook {
    /// How often each shape, on each list of classes, is wanted.
    pub expected: BTreeMap<Expected, u64>,
    /// What replicas that have no node and standing orders ask for, in thousandths of a GPU.
    pub waiting: BTreeMap<DemandClass, u64>,
}

impl Outlook {
    /// What is wanted of the network that is in this state.
    pub fn of(state: &State) -> Self {
        let mut outlook = Self::default();
        let wanted =
            |workload: &&Workload| !workload.stopping && workload.terms.shape.gpu_milli > 0;
        for workload in state.workloads.values().filter(wanted) {
            outlook.count(state, workload);
        }
        for order in state.orders.values() {
            outlook.wait(&order.terms, u64::from(order.replicas));
        }
        outlook
    }

    fn count(&mut self, state: &State, workload: &Workload) {
        let terms = &workload.terms;
        if let Ok(expected) = Expected::new(terms.shape, terms.classes.clone()) {
            *self.expected.entry(expected).or_default() += workload.replicas.len() as u64;
        }
        let replicas = workload.replicas.iter();
        let waits = |replica: &&Replica| replica.lease.is_none();
        let waiting = replicas
            .filter_map(|id| state.replicas.get(id))
            .filter(waits)
            .count() as u64;
        self.wait(terms, waiting);
    }

    /// So many replicas of these terms wait.
    fn wait(&mut self, terms: &Terms, replicas: u64) {
        if let Some(class) = terms.demand_class().filter(|_| replicas > 0) {
            let amount = self.waiting.entry(class).or_default();
            *amount = amount.saturating_add(replicas.saturating_mul(terms.shape.gpu_milli));
        }
    }
}

impl Terms {
    /// The kind of demand that replicas of these terms are, unless they ask for no GPU.
    pub fn demand_class(&self) -> Option<DemandClass> {
        let lists = (&self.classes[..], &self.countries[..]);
        DemandClass::new(&self.shape, lists, self.near, self.max_price)
    }
}
