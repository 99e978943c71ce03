//! Who a fact is about: looked up in the state before its record, and in the record itself.

use std::collections::BTreeMap;

use remuda_network::{Event, State};
use remuda_types::{LeaseId, NodeKey, ProjectId, ProviderId, ReplicaId, Time, WorkloadId};

/// Who a lease is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parties {
    pub(super) replica: ReplicaId,
    pub(super) workload: WorkloadId,
    pub(super) project: ProjectId,
    pub(super) provider: ProviderId,
    pub(super) node: NodeKey,
    pub(super) granted: Time,
}

/// The state before the record, and what the record itself adds to it.
pub(super) struct Overlay<'a> {
    pub(super) before: &'a State,
    projects: BTreeMap<WorkloadId, ProjectId>,
    workloads: BTreeMap<ReplicaId, WorkloadId>,
    leases: BTreeMap<LeaseId, Parties>,
}

impl<'a> Overlay<'a> {
    pub(super) fn of(before: &'a State) -> Self {
        let (projects, workloads, leases) = Default::default();
        Self {
            before,
            projects,
            workloads,
            leases,
        }
    }

    pub(super) fn note(&mut self, event: &Event) {
        match event {
            Event::WorkloadAccepted {
                workload, project, ..
            } => {
                self.projects.insert(*workload, *project);
            }
            Event::ReplicaAdded { replica, workload } => {
                self.workloads.insert(*replica, *workload);
            }
            Event::LeaseGranted {
                lease,
                replica,
                node,
                at,
                ..
            } => {
                if let Some(parties) = self.parties(*replica, *node, *at) {
                    self.leases.insert(*lease, parties);
                }
            }
            _ => {}
        }
    }

    fn parties(&self, replica: ReplicaId, node: NodeKey, granted: Time) -> Option<Parties> {
        let workload = self.workload_of(replica)?;
        let project = self.project_of(workload)?;
        let provider = self.before.nodes.get(&node)?.provider;
        Some(Parties {
            replica,
            workload,
            project,
            provider,
            node,
            granted,
        })
    }

    fn workload_of(&self, replica: ReplicaId) -> Option<WorkloadId> {
        let known = self
            .before
            .replicas
            .get(&replica)
            .map(|replica| replica.workload);
        known.or_else(|| self.workloads.get(&replica).copied())
    }

    fn project_of(&self, workload: WorkloadId) -> Option<ProjectId> {
        let known = self
            .before
            .workloads
            .get(&workload)
            .map(|workload| workload.project);
        known.or_else(|| self.projects.get(&workload).copied())
    }

    pub(super) fn lease(&self, id: LeaseId) -> Option<Parties> {
        let known = self.before.leases.get(&id).map(|lease| Parties {
            replica: lease.replica,
            workload: lease.workload,
            project: lease.project,
            provider: lease.provider,
            node: lease.node,
            granted: lease.granted,
        });
        known.or_else(|| self.leases.get(&id).copied())
    }
}

/// Who may see an event besides the operator.
pub(super) fn subjects(
    state: &Overlay<'_>,
    event: &Event,
) -> (Option<ProjectId>, Option<ProviderId>) {
    let of_lease = |id: &LeaseId| {
        state
            .lease(*id)
            .map(|lease| (lease.project, lease.provider))
    };
    let both = |found: Option<(ProjectId, ProviderId)>| (found.map(|f| f.0), found.map(|f| f.1));
    match event {
        Event::ProviderRegistered { provider, .. }
        | Event::ProviderStands { provider, .. }
        | Event::SiteRegistered { provider, .. }
        | Event::NodeEnrolled { provider, .. }
        | Event::HoldbackReleased { provider, .. }
        | Event::Forfeited { provider, .. } => (None, Some(*provider)),
        Event::SiteFailed { site, .. } => {
            (None, state.before.sites.get(site).map(|site| site.provider))
        }
        Event::NodePresent { node, .. }
        | Event::NodeSilent { node, .. }
        | Event::NodeLeaves { node, .. }
        | Event::DrainTried { node, .. }
        | Event::NodeResized { node, .. } => {
            (None, state.before.nodes.get(node).map(|node| node.provider))
        }
        Event::ProjectCreated { project, .. }
        | Event::WorkloadAccepted { project, .. }
        | Event::ReservationMade { project, .. }
        | Event::OrderStands { project, .. }
        | Event::TrancheOpened { project, .. } => (Some(*project), None),
        Event::WorkloadStopping { workload }
        | Event::WorkloadEnded { workload }
        | Event::ClaimSought { workload, .. }
        | Event::ReplicaAdded { workload, .. } => (state.project_of(*workload), None),
        Event::ClaimGranted { workload, node, .. } => {
            let node = state.before.nodes.get(node);
            (state.project_of(*workload), node.map(|node| node.provider))
        }
        Event::OrderWaits { workload, .. } | Event::OrderEnded { workload, .. } => {
            let order = state.before.orders.get(workload);
            let project = order.map(|order| order.project);
            (project.or_else(|| state.project_of(*workload)), None)
        }
        Event::ReservationBegun { workload, .. } | Event::ReservationEnded { workload, .. } => {
            let reservation = state.before.reservations.get(workload);
            (reservation.map(|reservation| reservation.project), None)
        }
        Event::ClaimCalled { claim, .. }
        | Event::ClaimReleased { claim }
        | Event::ClaimBegun { claim, .. } => {
            let claim = state.before.claims.get(claim);
            let place = claim.and_then(|claim| claim.place);
            (
                claim.and_then(|claim| state.project_of(claim.workload)),
                place.map(|place| place.provider),
            )
        }
        Event::ReplicaRemoved { replica }
        | Event::ReplicaUnplaced { replica, .. }
        | Event::ReplicaMoved { replica } => {
            let workload = state.workload_of(*replica);
            (
                workload.and_then(|workload| state.project_of(workload)),
                None,
            )
        }
        Event::LeaseGranted { lease, .. }
        | Event::LeasePhased { lease, .. }
        | Event::LeaseSilent { lease, .. }
        | Event::LeaseSettled { lease, .. }
        | Event::LeaseEnded { lease, .. } => both(of_lease(lease)),
        Event::UsagePosted { tranche, .. } | Event::TrancheClosed { tranche } => (
            state
                .before
                .tranches
                .get(tranche)
                .map(|tranche| tranche.project),
            None,
        ),
        Event::PolicySet { .. }
        | Event::PlanAdopted { .. }
        | Event::GatewayAdmitted { .. }
        | Event::ModelAdded { .. }
        | Event::TenantCreated { .. }
        | Event::KeyIssued { .. }
        | Event::KeyRevoked { .. }
        | Event::LeaseForgotten { .. }
        | Event::MoneyMoved { .. } => (None, None),
    }
}
