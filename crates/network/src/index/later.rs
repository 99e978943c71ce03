//! What each project wants later: its standing orders and reservations, in the order of their ids,
//! so that nobody walks those of others to list one project's.

use std::collections::BTreeSet;
use std::ops::Bound;

use remuda_types::{ProjectId, WorkloadId};

use super::Index;

/// Of all projects.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Later {
    orders: BTreeSet<(ProjectId, WorkloadId)>,
    reservations: BTreeSet<(ProjectId, WorkloadId)>,
}

impl Later {
    pub(super) fn note_order(&mut self, project: ProjectId, id: WorkloadId) {
        self.orders.insert((project, id));
    }

    pub(super) fn forget_order(&mut self, project: ProjectId, id: WorkloadId) {
        self.orders.remove(&(project, id));
    }

    pub(super) fn note_reservation(&mut self, project: ProjectId, id: WorkloadId) {
        self.reservations.insert((project, id));
    }

    pub(super) fn forget_reservation(&mut self, project: ProjectId, id: WorkloadId) {
        self.reservations.remove(&(project, id));
    }
}

impl Index {
    /// The standing orders of a project after this one, or all.
    pub fn orders_of(
        &self,
        project: ProjectId,
        after: Option<WorkloadId>,
    ) -> impl Iterator<Item = WorkloadId> + '_ {
        of_project(&self.later.orders, project, after)
    }

    /// The reservations of a project that are not over after this one, or all.
    pub fn reservations_of(
        &self,
        project: ProjectId,
        after: Option<WorkloadId>,
    ) -> impl Iterator<Item = WorkloadId> + '_ {
        of_project(&self.later.reservations, project, after)
    }
}

fn of_project(
    of: &BTreeSet<(ProjectId, WorkloadId)>,
    project: ProjectId,
    after: Option<WorkloadId>,
) -> impl Iterator<Item = WorkloadId> + '_ {
    let first = after.map_or(
        Bound::Included((project, WorkloadId::from_u128(0))),
        |after| Bound::Excluded((project, after)),
    );
    let last = Bound::Included((project, WorkloadId::from_u128(u128::MAX)));
    of.range((first, last)).map(|(_, id)| *id)
}
