//! What each project has: names of workloads, and what its leases cost together.
//!
//! Workloads come and go more often than anything else, and under names that are in no order. So a
//! name is found by its hash, and nobody walks a project's names.

use remuda_types::{Label, Lookup, Price, ProjectId, WorkloadId};

/// All projects that have anything.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Projects {
    names: Lookup<(ProjectId, Label), WorkloadId>,
    holdings: Lookup<ProjectId, Holdings>,
}

/// What one has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Holdings {
    /// Names that are taken: by live workloads, reservations and orders.
    names: usize,
    /// Of its live leases together, in micro-USD by the hour.
    price_micros_per_hour: u64,
}

impl Projects {
    /// Who has the name.
    pub(crate) fn named(&self, project: ProjectId, label: Label) -> Option<WorkloadId> {
        self.names.get(&(project, label)).copied()
    }

    /// How many names are taken.
    pub(crate) fn names(&self, project: ProjectId) -> usize {
        self.holdings.get(&project).map_or(0, |has| has.names)
    }

    /// What the project's live leases cost together.
    pub(crate) fn price(&self, project: ProjectId) -> Price {
        let holdings = self.holdings.get(&project);
        Price::from_micros_per_hour(holdings.map_or(0, |has| has.price_micros_per_hour))
    }

    pub(super) fn name(&mut self, project: ProjectId, label: Label, workload: WorkloadId) {
        if self.names.insert((project, label), workload).is_none() {
            self.change(project, |has| has.names += 1);
        }
    }

    pub(super) fn forget(&mut self, project: ProjectId, label: Label) {
        if self.names.remove(&(project, label)).is_some() {
            self.change(project, |has| has.names -= 1);
        }
    }

    pub(super) fn granted(&mut self, project: ProjectId, price: Price) {
        self.change(project, |has| {
            has.price_micros_per_hour += price.micros_per_hour();
        });
    }

    pub(super) fn ended(&mut self, project: ProjectId, price: Price) {
        self.change(project, |has| {
            has.price_micros_per_hour -= price.micros_per_hour();
        });
    }

    fn change(&mut self, project: ProjectId, change: impl FnOnce(&mut Holdings)) {
        let has = self.holdings.or_default(project);
        change(has);
        if *has == Holdings::default() {
            self.holdings.remove(&project);
        }
    }
}
