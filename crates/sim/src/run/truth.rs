//! What tenants really got, as somebody sees it who knows everything: a replica serves when its
//! machine does and it is routed to, that is, control holds it for ready.
//!
//! A replica is a unit of service for the tiers that promise an instance. A `multi-site` workload is
//! one unit: it is up while as many replicas serve as were asked for, the spare ones not counted.

use std::collections::BTreeMap;

use remuda_network::state::{EndReason, Phase};
use remuda_network::{Event, State};
use remuda_types::{LeaseId, Money, NodeKey, Price, ReplicaId, Tier, Time, WorkloadId};

use super::audit::Audit;
use super::cause::Cause;
use super::service::{Delivered, Kind, Service};
use super::uptime::Tally;

/// A lease that is held.
#[derive(Clone, Copy, Debug)]
struct Held {
    workload: WorkloadId,
    replica: ReplicaId,
    node: NodeKey,
    /// Its machine serves.
    served: bool,
    /// Control holds it for ready.
    routed: bool,
}

impl Held {
    const fn serves(self) -> bool {
        self.served && self.routed
    }
}

/// What tenants really got.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    services: BTreeMap<WorkloadId, Service>,
    /// What is not wanted any more and still has leases.
    closed: BTreeMap<WorkloadId, Kind>,
    /// What will be expected when it is deployed.
    foreseen: BTreeMap<WorkloadId, Kind>,
    homes: BTreeMap<ReplicaId, WorkloadId>,
    leases: BTreeMap<LeaseId, Held>,
    /// What counts as paid before it is settled.
    ahead: BTreeMap<LeaseId, Money>,
    /// What each machine was last seen to serve.
    on: BTreeMap<NodeKey, Vec<LeaseId>>,
    pub(crate) delivered: BTreeMap<Kind, Delivered>,
    /// What was delivered since the day began, as far as it is counted.
    today: BTreeMap<Tier, Tally>,
    /// How much was forfeited by providers, and how often.
    pub(crate) forfeited: Money,
    pub(crate) forfeits: u64,
    pub(crate) audit: Audit,
    /// Nobody sees the machines: what control holds for ready is taken to serve, and each workload
    /// to need one replica.
    by_belief: bool,
}

impl Truth {
    /// For a history in which nobody saw the machines.
    pub(crate) fn by_belief() -> Self {
        Self {
            by_belief: true,
            ..Self::default()
        }
    }

    /// A tenant has a workload that needs so many of its replicas.
    pub(crate) fn expect(&mut self, workload: WorkloadId, kind: Kind, now: Time) {
        self.services.insert(workload, Service::new(kind, now));
    }

    /// A tenant asks for a workload that is deployed at once or later.
    pub(crate) fn foresee(&mut self, workload: WorkloadId, kind: Kind) {
        self.foreseen.insert(workload, kind);
    }

    /// Units that a tenant asked for and that found no place.
    pub(crate) fn refuse(&mut self, kind: Kind, units: u64) {
        self.delivered.entry(kind).or_default().wanted += units;
    }

    /// It will not be.
    pub(crate) fn forget(&mut self, workload: WorkloadId) {
        self.foreseen.remove(&workload);
    }

    fn accept(&mut self, workload: WorkloadId, tier: Tier, now: Time) {
        let believed = self.by_belief.then_some(Kind { tier, needed: 1 });
        if let Some(kind) = believed.or_else(|| self.foreseen.remove(&workload)) {
            self.expect(workload, kind, now);
        }
    }

    /// How many replicas a workload needs; 1 where each is promised by itself.
    pub(crate) fn needs(&self, workload: WorkloadId) -> u32 {
        let service = self.services.get(&workload);
        service.map_or(1, |service| service.kind.needed)
    }

    /// What a machine serves now, and what keeps it from serving more.
    pub(crate) fn see(&mut self, node: NodeKey, serving: &[LeaseId], cause: Cause, now: Time) {
        let known = self.on.get(&node).map_or(&[][..], Vec::as_slice);
        if known == serving {
            return;
        }
        let before = self.on.insert(node, serving.to_vec()).unwrap_or_default();
        for lease in before.iter().filter(|lease| !serving.contains(lease)) {
            self.set(*lease, now, cause, |held| held.served = false);
        }
        for lease in serving.iter().filter(|lease| !before.contains(lease)) {
            self.set(*lease, now, cause, |held| held.served = true);
        }
    }

    /// Changes what is known of a lease, and follows up what that means.
    fn set(&mut self, id: LeaseId, now: Time, cause: Cause, change: impl FnOnce(&mut Held)) {
        let Some(held) = self.leases.get_mut(&id) else {
            return;
        };
        let before = *held;
        change(held);
        let after = *held;
        self.audit.turn(id, after.served, now);
        if before.serves() == after.serves() {
            return;
        }
        if let Some(service) = self.services.get_mut(&after.workload) {
            service.shift(after.replica, after.serves(), cause, now);
        }
    }

    /// Follows a fact. `ails` says what keeps a machine from serving, if anything does.
    pub(crate) fn follow(
        &mut self,
        event: &Event,
        now: Time,
        ails: impl Fn(&NodeKey) -> Option<Cause>,
    ) {
        match event {
            Event::WorkloadAccepted {
                workload, terms, ..
            } => self.accept(*workload, terms.tier, now),
            Event::ReplicaAdded { replica, workload } => self.add(*replica, *workload, now),
            Event::LeaseGranted {
                lease,
                replica,
                node,
                price,
                succeeds,
                ..
            } => {
                self.grant(*lease, *replica, (*node, *price), now);
                if let Some(service) = self.service_of(replica) {
                    service.note_grant(*replica, *succeeds);
                    service.note_price(*lease, Some(*price), now);
                }
            }
            Event::LeasePhased { lease, phase, .. } => {
                let ail = self.leases.get(lease).and_then(|held| ails(&held.node));
                self.phase(*lease, *phase, ail, now);
            }
            Event::LeaseSettled { lease, charge, .. } => {
                let held = self.leases.get(lease);
                let dead = held.is_some_and(|held| ails(&held.node).is_some());
                self.audit.charge(*lease, charge.amount, dead, now);
                self.pay(*lease, charge.amount);
            }
            Event::LeaseEnded { lease, reason, .. } => {
                let ail = self.leases.get(lease).and_then(|held| ails(&held.node));
                self.end(*lease, *reason, ail, now);
            }
            Event::ReplicaUnplaced { replica, .. } => {
                if let Some(service) = self.service_of(replica) {
                    service.blame(*replica, Cause::Capacity, now);
                }
            }
            Event::ReplicaRemoved { replica } => {
                if let Some(service) = self.service_of(replica) {
                    service.retire(*replica, now);
                }
                self.homes.remove(replica);
            }
            Event::WorkloadStopping { workload } => self.close(*workload, now),
            Event::WorkloadEnded { workload } => {
                self.close(*workload, now);
                self.closed.remove(workload);
            }
            Event::Forfeited {
                from_held,
                from_bond,
                ..
            } => {
                self.forfeits += 1;
                let sum = from_held.saturating_add(*from_bond);
                self.forfeited = self.forfeited.saturating_add(sum);
            }
            Event::PolicySet { .. }
            | Event::PlanAdopted { .. }
            | Event::GatewayAdmitted { .. }
            | Event::ModelAdded { .. }
            | Event::ProviderRegistered { .. }
            | Event::ProviderStands { .. }
            | Event::SiteRegistered { .. }
            | Event::NodeEnrolled { .. }
            | Event::NodePresent { .. }
            | Event::NodeSilent { .. }
            | Event::NodeLeaves { .. }
            | Event::LeaseSilent { .. }
            | Event::DrainTried { .. }
            | Event::NodeResized { .. }
            | Event::TenantCreated { .. }
            | Event::ProjectCreated { .. }
            | Event::KeyIssued { .. }
            | Event::KeyRevoked { .. }
            | Event::ReplicaMoved { .. }
            | Event::LeaseForgotten { .. }
            | Event::TrancheOpened { .. }
            | Event::UsagePosted { .. }
            | Event::TrancheClosed { .. }
            | Event::MoneyMoved { .. }
            | Event::HoldbackReleased { .. }
            | Event::SiteFailed { .. }
            | Event::ClaimSought { .. }
            | Event::ClaimGranted { .. }
            | Event::ClaimCalled { .. }
            | Event::ClaimReleased { .. }
            | Event::ClaimBegun { .. }
            | Event::OrderStands { .. }
            | Event::OrderWaits { .. }
            | Event::OrderEnded { .. }
            | Event::ReservationMade { .. }
            | Event::ReservationBegun { .. }
            | Event::ReservationEnded { .. } => {}
        }
    }

    /// The `multi-site` services that have ever served and are wanted still.
    pub(crate) fn served_services(&self) -> Vec<WorkloadId> {
        let served = self
            .services
            .iter()
            .filter(|(_, service)| service.kind.tier.spreads_owners() && service.was_ever_heard());
        served.map(|(workload, _)| *workload).collect()
    }

    /// Whether at all times since then a replica of a service that is wanted still has served.
    pub(crate) fn served_since(&self, workload: WorkloadId, since: Time) -> bool {
        let service = self.services.get(&workload);
        service.is_some_and(|service| service.heard_since(since))
    }

    fn service_of(&mut self, replica: &ReplicaId) -> Option<&mut Service> {
        let workload = self.homes.get(replica)?;
        self.services.get_mut(workload)
    }

    fn add(&mut self, replica: ReplicaId, workload: WorkloadId, now: Time) {
        self.homes.insert(replica, workload);
        if let Some(service) = self.services.get_mut(&workload) {
            service.add(replica, now);
        }
    }

    fn grant(
        &mut self,
        lease: LeaseId,
        replica: ReplicaId,
        (node, price): (NodeKey, Price),
        now: Time,
    ) {
        let Some(workload) = self.homes.get(&replica).copied() else {
            return;
        };
        let held = Held {
            workload,
            replica,
            node,
            served: self.by_belief,
            routed: false,
        };
        self.leases.insert(lease, held);
        self.audit.begin(lease, price, now);
    }

    fn phase(&mut self, lease: LeaseId, phase: Phase, ail: Option<Cause>, now: Time) {
        let cause = match phase {
            Phase::Draining(_) => Cause::Move,
            Phase::Placed | Phase::Preparing | Phase::Starting | Phase::Ready | Phase::Suspect => {
                ail.unwrap_or(Cause::Suspicion)
            }
        };
        self.set(lease, now, cause, |held| {
            held.routed = phase == Phase::Ready;
        });
        self.audit.believe(lease, phase.is_charged(), now);
    }

    fn end(&mut self, lease: LeaseId, reason: EndReason, ail: Option<Cause>, now: Time) {
        let cause = match reason {
            EndReason::NodeLost | EndReason::NodeRestarted => ail.unwrap_or(Cause::Suspicion),
            EndReason::ProviderLeft => Cause::Exit,
            EndReason::Drained => Cause::Move,
            EndReason::GaveWay => Cause::Capacity,
            EndReason::Stopped
            | EndReason::Completed
            | EndReason::Crashed
            | EndReason::OutOfMemory
            | EndReason::PrepareFailed
            | EndReason::NeverReady
            | EndReason::RuntimeRefused
            | EndReason::BudgetExhausted
            | EndReason::TermOver => Cause::Other,
        };
        self.set(lease, now, cause, |held| held.routed = false);
        let missed = matches!(reason, EndReason::NodeLost | EndReason::NodeRestarted);
        self.audit.end(lease, missed, now);
        let Some(held) = self.leases.remove(&lease) else {
            return;
        };
        if let Some(service) = self.services.get_mut(&held.workload) {
            service.note_end(held.replica, reason);
            service.note_price(lease, None, now);
        }
    }

    /// A workload is no longer wanted: what comes after is no loss.
    fn close(&mut self, workload: WorkloadId, now: Time) {
        if let Some(mut service) = self.services.remove(&workload) {
            for replica in service.replicas() {
                self.homes.remove(&replica);
            }
            let delivered = self.delivered.entry(service.kind).or_default();
            let day = service.close_month(delivered, now);
            service.count_units(delivered);
            self.closed.insert(workload, service.kind);
            self.today.entry(service.kind.tier).or_default().add(&day);
        }
    }

    /// A day is over: what was delivered in it, by tier.
    pub(crate) fn close_day(&mut self, now: Time) -> BTreeMap<Tier, Tally> {
        for service in self.services.values_mut() {
            let day = service.close_day(now);
            self.today.entry(service.kind.tier).or_default().add(&day);
        }
        std::mem::take(&mut self.today)
    }

    /// A month is over: what was delivered in it is held against what was promised.
    pub(crate) fn close_month(&mut self, now: Time) {
        for service in self.services.values_mut() {
            let delivered = self.delivered.entry(service.kind).or_default();
            let day = service.close_month(delivered, now);
            self.today.entry(service.kind.tier).or_default().add(&day);
        }
    }

    /// What accrued and is not settled yet counts as paid, so that a month has what it cost.
    pub(crate) fn accrue(&mut self, state: &State, now: Time) {
        for (id, lease) in &state.leases {
            let ready = lease.meter.accrue(lease.phase, now).ready;
            let accrued = lease.price.for_span(ready);
            self.pay(*id, accrued);
            self.ahead.insert(*id, accrued);
        }
    }

    fn pay(&mut self, lease: LeaseId, amount: Money) {
        let ahead = self.ahead.remove(&lease).unwrap_or_default();
        let amount = amount.saturating_sub(ahead);
        let Some(held) = self.leases.get(&lease) else {
            return;
        };
        if let Some(service) = self.services.get_mut(&held.workload) {
            service.pay(held.replica, amount);
        } else if let Some(kind) = self.closed.get(&held.workload) {
            let delivered = self.delivered.entry(*kind).or_default();
            delivered.paid = delivered.paid.saturating_add(amount);
        }
    }

    /// The run is over.
    pub(crate) fn finish(&mut self, state: &State, now: Time) {
        self.accrue(state, now);
        for workload in self.services.keys().copied().collect::<Vec<_>>() {
            self.close(workload, now);
        }
    }
}
