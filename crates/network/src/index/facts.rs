//! The index follows facts: what each takes back before the state has it, and what it adds after. What
//! is done for each kind of thing does not belong here.

use remuda_placement::GpuSet;

use super::{Due, Index, Layer, Named, demand_of, done};
use crate::event::Event;
use crate::state::State;

impl Index {
    /// Takes back what `event` is about to take from the state.
    pub(crate) fn before(&mut self, state: &State, event: &Event) {
        match event {
            Event::NodePresent { node, .. } => {
                if let Some(found) = state.nodes.get(node) {
                    self.sites.count_out(*node, found);
                }
            }
            Event::LeaseEnded { lease: id, .. } => {
                if let Some(lease) = state.leases.get(id) {
                    let layer = Layer::of_workload(state, lease.workload);
                    done(self.release(lease.node, (&lease.shape, lease.gpus()), layer));
                    if let Some((class, milli)) = demand_of(state, lease.workload) {
                        self.fleet.count_out(class, lease.node, milli);
                    }
                    self.keep_again(state, lease);
                    self.wake_orders(state, lease.node);
                    self.forget_lease(lease.workload, *id);
                    self.projects.ended(lease.project, lease.price);
                }
            }
            Event::ClaimSought { claim, .. }
            | Event::ClaimGranted { claim, .. }
            | Event::ClaimReleased { claim } => {
                let claim_of = state.claims.get(claim);
                if let Some(place) = claim_of.and_then(|claim| claim.place) {
                    self.wake_orders(state, place.node);
                }
                self.forget_claim(state, *claim);
            }
            Event::ClaimCalled { claim, .. } | Event::ClaimBegun { claim, .. } => {
                self.forget_claim(state, *claim);
            }
            Event::ReservationEnded { workload, .. } => {
                let reservation = state.reservations.get(workload);
                if let Some(of) = reservation {
                    self.later.forget_reservation(of.project, *workload);
                }
                if let Some(unbegun) = reservation.filter(|reservation| !reservation.begun) {
                    self.projects.forget(unbegun.project, unbegun.terms.label);
                }
            }
            Event::OrderEnded { workload, .. } => {
                if let Some(order) = state.orders.get(workload) {
                    self.later.forget_order(order.project, *workload);
                    self.order_goes(*workload, order);
                    // What it became has the name from now on.
                    if !state.workloads.contains_key(workload) {
                        self.projects.forget(order.project, order.terms.label);
                    }
                }
            }
            Event::WorkloadEnded { workload } => {
                if let Some(workload) = state.workloads.get(workload) {
                    self.projects.forget(workload.project, workload.terms.label);
                    for replica in &workload.replicas {
                        self.forget(Due::Replica(*replica));
                    }
                }
            }
            _ => {}
        }
    }

    /// Follows `event`, which the state has applied.
    #[expect(
        clippy::too_many_lines,
        reason = "one arm for each fact; each arm is one step"
    )]
    pub(crate) fn after(&mut self, state: &State, event: &Event) {
        match event {
            Event::ProviderRegistered {
                provider, label, ..
            } => {
                self.names
                    .insert(Named::Provider(*label), provider.as_u128());
            }
            Event::SiteRegistered {
                site,
                provider,
                label,
                ..
            } => {
                self.names
                    .insert(Named::Site(*provider, *label), site.as_u128());
            }
            Event::TenantCreated { tenant, label, .. } => {
                self.names.insert(Named::Tenant(*label), tenant.as_u128());
            }
            Event::ProjectCreated {
                project,
                tenant,
                label,
                ..
            } => {
                self.names
                    .insert(Named::Project(*tenant, *label), project.as_u128());
            }
            Event::WorkloadAccepted {
                workload,
                project,
                terms,
                ..
            } => {
                self.projects.name(*project, terms.label, *workload);
            }
            Event::KeyIssued {
                key, digest, owner, ..
            } => {
                self.keys.insert(*digest, *key);
                self.keys_of.insert((*owner, *key));
            }
            Event::NodeEnrolled { node, provider, .. } => {
                self.nodes_of.insert((*provider, *node));
                if let Some(found) = state.nodes.get(node) {
                    self.sites.count_in(*node, found);
                    self.place_node(state, *node, found);
                }
            }
            Event::NodePresent { node, .. } => {
                if let Some(found) = state.nodes.get(node) {
                    self.sites.count_in(*node, found);
                    self.place_node(state, *node, found);
                    if found.presence.is_open() {
                        self.wake_orders(state, *node);
                    }
                }
                self.changed.push(Due::Node(*node));
            }
            Event::DrainTried { node, .. } => self.changed.push(Due::Node(*node)),
            Event::NodeResized { node, .. } => {
                if let Some(found) = state.nodes.get(node) {
                    self.place_node(state, *node, found);
                    self.wake_orders(state, *node);
                }
                self.changed.push(Due::Node(*node));
            }
            Event::LeaseGranted {
                lease,
                replica,
                node,
                shape,
                gpu_bits,
                price,
                ..
            } => {
                let gpus = GpuSet::from_bits(*gpu_bits);
                if let Some(of) = state.replicas.get(replica) {
                    let layer = Layer::of_workload(state, of.workload);
                    done(self.hold(*node, (shape, gpus), layer));
                    self.count_in(state, of.workload, *node);
                    self.note_lease(of.workload, *lease);
                    if let Some(lease) = state.leases.get(lease) {
                        self.projects.granted(lease.project, *price);
                    }
                }
                self.changed.push(Due::Lease(*lease));
                self.changed.push(Due::Replica(*replica));
            }
            Event::LeaseEnded { lease, .. } => {
                self.changed.push(Due::Lease(*lease));
                self.changed.push(Due::Ended(*lease));
                self.forget_left(state, *lease);
            }
            Event::WorkloadStopping { workload } => {
                let workload = state.workloads.get(workload);
                for replica in workload.into_iter().flat_map(|w| &w.replicas) {
                    self.forget(Due::Replica(*replica));
                }
            }
            Event::LeasePhased { lease, .. } => self.changed.push(Due::Lease(*lease)),
            Event::LeaseSettled {
                lease,
                next,
                charge,
                ..
            } => {
                // Without another slice it ends, and is due when it was.
                if next.is_some() {
                    self.changed.push(Due::Lease(*lease));
                }
                if charge.earned.is_zero() {
                    return;
                }
                if let Some(lease) = state.leases.get(lease) {
                    self.changed.push(Due::Provider(lease.provider));
                }
            }
            Event::LeaseForgotten { lease } => self.changed.push(Due::Ended(*lease)),
            Event::ReplicaUnplaced { replica, .. }
            | Event::ReplicaRemoved { replica }
            | Event::ReplicaAdded { replica, .. } => self.changed.push(Due::Replica(*replica)),
            Event::ClaimSought { claim, .. }
            | Event::ClaimGranted { claim, .. }
            | Event::ClaimCalled { claim, .. }
            | Event::ClaimReleased { claim }
            | Event::ClaimBegun { claim, .. } => self.note_claim(state, *claim),
            Event::ReservationMade {
                workload,
                project,
                terms,
                ..
            } => {
                self.projects.name(*project, terms.label, *workload);
                self.later.note_reservation(*project, *workload);
                self.changed.push(Due::Reservation(*workload));
            }
            Event::ReservationBegun { workload, .. } | Event::ReservationEnded { workload, .. } => {
                self.changed.push(Due::Reservation(*workload));
            }
            Event::OrderStands {
                workload,
                project,
                terms,
                ..
            } => {
                self.projects.name(*project, terms.label, *workload);
                self.later.note_order(*project, *workload);
                if let Some(order) = state.orders.get(workload) {
                    self.order_stands(*workload, order);
                }
                self.changed.push(Due::Order(*workload));
            }
            Event::OrderWaits { workload, .. } => {
                if let Some(order) = state.orders.get(workload) {
                    self.order_waits(*workload, order);
                }
                self.changed.push(Due::Order(*workload));
            }
            Event::OrderEnded { workload, .. } => self.changed.push(Due::Order(*workload)),
            Event::TrancheOpened { tranche, .. } | Event::TrancheClosed { tranche } => {
                self.changed.push(Due::Tranche(*tranche));
            }
            Event::UsagePosted { usages, .. } => {
                for usage in usages {
                    self.changed.push(Due::Provider(usage.provider));
                }
            }
            Event::ProviderStands { provider, .. }
            | Event::HoldbackReleased { provider, .. }
            | Event::Forfeited { provider, .. } => self.changed.push(Due::Provider(*provider)),
            Event::PlanAdopted { plan } => self.follow(plan),
            Event::SiteFailed { site, .. } => self.learn(state, *site),
            Event::PolicySet { .. } => *self = Self::rebuild(state),
            Event::GatewayAdmitted { .. }
            | Event::ModelAdded { .. }
            | Event::NodeSilent { .. }
            | Event::NodeLeaves { .. }
            | Event::LeaseSilent { .. }
            | Event::KeyRevoked { .. }
            | Event::WorkloadEnded { .. }
            | Event::ReplicaMoved { .. }
            | Event::MoneyMoved { .. } => {}
        }
    }
}
