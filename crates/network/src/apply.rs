//! Facts applied to state. Infallible: what was decided is applied as it is.
//!
//! A fact about something that is not there changes nothing; it cannot come out of `decide`.

mod claim;
mod order;

use std::collections::{BTreeMap, BTreeSet};

use remuda_types::{ClaimId, CommandId, LeaseId, Money, ProviderId, Span, Time};

use crate::event::{Charge, Event, Slice};
use crate::state::{
    ApiKey, Charged, EndReason, EndedLease, Lease, Meter, Model, Node, Phase, Presence, Project,
    Provider, Replica, Site, Standing, State, Tenant, Tranche, Workload,
};

/// After a pause many ids are too old at once: with each command so many are forgotten.
const FORGOTTEN_AT_ONCE: usize = 1_000;

impl State {
    /// Remembers a committed command and the time it carried.
    pub fn remember(&mut self, now: Time, id: CommandId) {
        self.clock = self.clock.max(now);
        self.recent.insert(id);
        self.forgotten = self.forgotten.max(self.clock - self.policy.id_window);
        for _ in 0..FORGOTTEN_AT_ONCE {
            let oldest = self.recent.first();
            if oldest.is_none_or(|oldest| oldest.born() >= self.forgotten) {
                return;
            }
            self.recent.pop_first();
        }
    }

    /// Applies one fact. Where it ends a lease, `began_on` is the claim that the lease has what was
    /// booked by, if it has: the index knows, and to look among all claims for each lease is too slow.
    #[expect(
        clippy::too_many_lines,
        reason = "one arm for each fact; each arm is one step"
    )]
    pub(crate) fn apply(&mut self, event: &Event, began_on: Option<ClaimId>) {
        match event {
            Event::PlanAdopted { plan } => self.plan = Some(plan.clone()),
            Event::PolicySet { policy } => self.policy = (**policy).clone(),
            Event::GatewayAdmitted { gateway } => {
                self.gateways.insert(*gateway);
            }
            Event::ModelAdded {
                label,
                digest,
                bytes,
            } => {
                self.models.insert(
                    *label,
                    Model {
                        digest: *digest,
                        bytes: *bytes,
                    },
                );
            }
            Event::ProviderRegistered {
                provider,
                label,
                at,
            } => {
                let standing = Standing::Active;
                let held = BTreeMap::new();
                self.providers.insert(
                    *provider,
                    Provider {
                        label: *label,
                        joined: *at,
                        standing,
                        held,
                    },
                );
            }
            Event::ProviderStands { provider, standing } => {
                if let Some(provider) = self.providers.get_mut(provider) {
                    provider.standing = *standing;
                }
            }
            Event::SiteRegistered {
                site,
                provider,
                label,
                country,
                place,
            } => {
                let (provider, label) = (*provider, *label);
                self.sites.insert(
                    *site,
                    Site {
                        provider,
                        label,
                        country: *country,
                        place: *place,
                    },
                );
            }
            Event::NodeEnrolled {
                node,
                provider,
                site,
                class,
                capacity,
                price,
                at,
            } => {
                let enrolled = Node {
                    provider: *provider,
                    site: *site,
                    class: *class,
                    capacity: *capacity,
                    price: *price,
                    enrolled: *at,
                    presence: Presence::Away(*at),
                    leases: BTreeSet::new(),
                    drain_tried: None,
                    silent_since: None,
                    leaves: false,
                };
                self.nodes.insert(*node, enrolled);
            }
            Event::NodePresent { node, presence } => {
                if let Some(node) = self.nodes.get_mut(node) {
                    node.becomes(*presence);
                }
            }
            Event::NodeSilent { node, since } => {
                if let Some(node) = self.nodes.get_mut(node) {
                    node.silent_since = *since;
                }
            }
            Event::LeaseSilent { lease, since, at } => {
                if let Some(lease) = self.leases.get_mut(lease) {
                    let meter = lease.meter.accrue(lease.phase, *since);
                    lease.meter = meter.silent_since(*since, *at);
                }
            }
            Event::NodeLeaves { node, leaves } => {
                if let Some(node) = self.nodes.get_mut(node) {
                    node.leaves = *leaves;
                }
            }
            Event::DrainTried { node, at } => {
                if let Some(node) = self.nodes.get_mut(node) {
                    node.drain_tried = Some(*at);
                }
            }
            Event::NodeResized { node, capacity } => {
                if let Some(node) = self.nodes.get_mut(node) {
                    node.capacity = *capacity;
                }
            }
            Event::TenantCreated { tenant, label, at } => {
                self.tenants.insert(
                    *tenant,
                    Tenant {
                        label: *label,
                        created: *at,
                    },
                );
            }
            Event::ProjectCreated {
                project,
                tenant,
                label,
                at,
            } => {
                let (tenant, label) = (*tenant, *label);
                self.projects.insert(
                    *project,
                    Project {
                        tenant,
                        label,
                        created: *at,
                    },
                );
            }
            Event::KeyIssued {
                key,
                owner,
                digest,
                scopes,
                expires,
                requests_per_minute,
                at,
            } => {
                let issued = ApiKey {
                    owner: *owner,
                    digest: *digest,
                    scopes: scopes.clone(),
                    created: *at,
                    expires: *expires,
                    revoked: None,
                    requests_per_minute: *requests_per_minute,
                };
                self.keys.insert(*key, issued);
            }
            Event::KeyRevoked { key, at } => {
                if let Some(key) = self.keys.get_mut(key) {
                    key.revoked = Some(*at);
                }
            }
            Event::WorkloadAccepted {
                workload,
                project,
                terms,
                at,
            } => {
                let accepted = Workload {
                    project: *project,
                    terms: (**terms).clone(),
                    created: *at,
                    replicas: BTreeSet::new(),
                    stopping: false,
                    ordered: false,
                };
                self.workloads.insert(*workload, accepted);
            }
            Event::WorkloadStopping { workload } => {
                if let Some(workload) = self.workloads.get_mut(workload) {
                    workload.stopping = true;
                }
            }
            Event::WorkloadEnded { workload } => {
                if let Some(ended) = self.workloads.remove(workload) {
                    for replica in &ended.replicas {
                        self.replicas.remove(replica);
                    }
                }
            }
            Event::ReplicaAdded { replica, workload } => {
                let added = Replica {
                    workload: *workload,
                    lease: None,
                    successor: None,
                    epoch: 0,
                    attempts: 0,
                    retry: None,
                    last_end: None,
                };
                self.replicas.insert(*replica, added);
                if let Some(workload) = self.workloads.get_mut(workload) {
                    workload.replicas.insert(*replica);
                }
            }
            Event::ReplicaRemoved { replica } => {
                let removed = self.replicas.remove(replica);
                if let Some(workload) = removed.and_then(|r| self.workloads.get_mut(&r.workload)) {
                    workload.replicas.remove(replica);
                }
            }
            Event::ReplicaUnplaced { replica, retry } => {
                if let Some(replica) = self.replicas.get_mut(replica) {
                    replica.attempts = replica.attempts.saturating_add(1);
                    replica.retry = Some(*retry);
                }
            }
            Event::LeaseGranted { .. } => self.grant(event),
            Event::LeasePhased { lease, phase, at } => self.phase(*lease, *phase, *at),
            Event::ReplicaMoved { replica } => {
                if let Some(replica) = self.replicas.get_mut(replica) {
                    replica.lease = replica.successor.take();
                }
            }
            Event::LeaseSettled {
                lease,
                meter,
                charge,
                next,
            } => {
                if let Some(lease) = self.leases.get_mut(lease) {
                    lease.settle(*meter, *charge, next.as_ref());
                    let provider = lease.provider;
                    self.hold_back(provider, meter.until, charge.earned);
                }
            }
            Event::LeaseEnded {
                lease, at, reason, ..
            } => self.end_lease((*lease, began_on), *at, *reason),
            Event::LeaseForgotten { lease } => {
                self.ended_leases.remove(lease);
            }
            Event::TrancheOpened {
                tranche,
                gateway,
                project,
                amount,
                deadline,
                reservation,
            } => {
                let opened = Tranche {
                    gateway: *gateway,
                    project: *project,
                    left: *amount,
                    deadline: *deadline,
                    seq: 0,
                    reservation: *reservation,
                };
                self.tranches.insert(*tranche, opened);
            }
            Event::UsagePosted {
                tranche,
                seq,
                usages,
                at,
                ..
            } => {
                if let Some(tranche) = self.tranches.get_mut(tranche) {
                    tranche.seq = *seq;
                    for usage in usages {
                        tranche.left = tranche.left.saturating_sub(usage.charge.amount);
                    }
                }
                for usage in usages {
                    self.hold_back(usage.provider, *at, usage.charge.earned);
                }
            }
            Event::TrancheClosed { tranche } => {
                self.tranches.remove(tranche);
            }
            Event::MoneyMoved { entries } => {
                for entry in entries {
                    self.ledger.apply(entry);
                }
            }
            Event::HoldbackReleased {
                provider,
                bucket,
                amount,
            } => {
                if let Some(provider) = self.providers.get_mut(provider) {
                    provider.release(*bucket, *amount);
                }
            }
            Event::Forfeited {
                provider,
                from_held,
                ..
            } => {
                if let Some(provider) = self.providers.get_mut(provider) {
                    provider.take_held(*from_held);
                }
            }
            Event::SiteFailed { site, at } => {
                self.kinship.observe(*site, *at, &self.policy.kin.rule());
            }
            Event::ClaimSought { .. }
            | Event::ClaimGranted { .. }
            | Event::ClaimCalled { .. }
            | Event::ClaimReleased { .. }
            | Event::ClaimBegun { .. } => self.change_claim(event),
            Event::OrderStands { .. } | Event::OrderWaits { .. } | Event::OrderEnded { .. } => {
                self.change_order(event);
            }
            Event::ReservationMade { .. }
            | Event::ReservationBegun { .. }
            | Event::ReservationEnded { .. } => self.change_reservation(event),
        }
    }

    fn grant(&mut self, event: &Event) {
        let Event::LeaseGranted {
            lease,
            replica,
            node,
            shape,
            price,
            epoch,
            at,
            slice,
            succeeds,
            gpu_bits,
        } = event
        else {
            return;
        };
        let (Some(of), Some(on)) = (self.replicas.get_mut(replica), self.nodes.get_mut(node))
        else {
            return;
        };
        let Some(workload) = self.workloads.get(&of.workload) else {
            return;
        };
        on.leases.insert(*lease);
        of.epoch = *epoch;
        of.attempts = of.attempts.saturating_add(1);
        of.retry = None;
        *(if *succeeds {
            &mut of.successor
        } else {
            &mut of.lease
        }) = Some(*lease);
        let mut granted = Lease {
            replica: *replica,
            workload: of.workload,
            project: workload.project,
            node: *node,
            provider: on.provider,
            site: on.site,
            shape: *shape,
            price: *price,
            epoch: *epoch,
            granted: *at,
            hard_end: slice.hard_end,
            phase: Phase::Placed,
            meter: Meter {
                until: *at,
                ..Meter::default()
            },
            reservation: slice.reservation,
            reserved: slice.reserved,
            slice_end: slice.end,
            slice: 0,
            gpu_bits: *gpu_bits,
            failing: false,
            charged: None,
            unready: *at,
        };
        granted.begin(slice);
        self.leases.insert(*lease, granted);
    }

    fn phase(&mut self, lease: LeaseId, phase: Phase, at: Time) {
        let Some(lease) = self.leases.get_mut(&lease) else {
            return;
        };
        let node = self.nodes.get(&lease.node);
        let silent = node.is_some_and(|node| node.last_seen().is_some());
        lease.meter = lease.meter.accrue(lease.phase, at);
        if matches!(lease.phase, Phase::Ready | Phase::Draining(_)) {
            lease.unready = at;
        }
        lease.phase = phase;
        lease.failing = phase == Phase::Suspect && !silent;
        if phase == Phase::Ready
            && let Some(replica) = self.replicas.get_mut(&lease.replica)
        {
            replica.attempts = 0;
        }
    }

    fn end_lease(
        &mut self,
        (id, began_on): (LeaseId, Option<ClaimId>),
        at: Time,
        reason: EndReason,
    ) {
        let Some(lease) = self.leases.remove(&id) else {
            return;
        };
        if let Some(claim) = began_on {
            self.keep_again(claim);
        }
        if let Some(node) = self.nodes.get_mut(&lease.node) {
            node.leases.remove(&id);
        }
        if let Some(replica) = self.replicas.get_mut(&lease.replica) {
            if replica.successor == Some(id) {
                replica.successor = None;
            }
            if replica.lease == Some(id) {
                replica.lease = replica.successor.take();
                replica.last_end = Some(reason);
            }
        }
        let ended = EndedLease {
            provider: lease.provider,
            project: lease.project,
            ended: at,
            node: lease.node,
        };
        self.ended_leases.insert(id, ended);
    }

    fn hold_back(&mut self, provider: ProviderId, at: Time, earned: Money) {
        let bucket_ms = self.policy.holdback_bucket.as_millis().max(1);
        let bucket = Time::from_millis(at.as_millis() / bucket_ms * bucket_ms);
        let Some(provider) = self.providers.get_mut(&provider) else {
            return;
        };
        if earned.is_negative() {
            provider.take_held(Money::ZERO.saturating_sub(earned));
        } else if !earned.is_zero() {
            let held = provider.held.entry(bucket).or_default();
            *held = held.saturating_add(earned);
        }
    }
}

impl Lease {
    fn settle(&mut self, meter: Meter, charge: Charge, next: Option<&Slice>) {
        if meter.ready != Span::ZERO {
            self.charged = self.phase.is_charged().then_some(Charged {
                until: meter.until,
                ready: meter.ready,
                charge,
            });
        }
        self.meter = Meter {
            until: meter.until,
            ..Meter::default()
        };
        self.slice = self.slice.saturating_add(1);
        self.reserved = Money::ZERO;
        if let Some(next) = next {
            self.begin(next);
        }
    }

    fn begin(&mut self, slice: &Slice) {
        self.reservation = slice.reservation;
        self.reserved = slice.reserved;
        self.slice_end = slice.end;
        self.hard_end = slice.hard_end;
    }
}

impl Provider {
    fn release(&mut self, bucket: Time, amount: Money) {
        if let Some(held) = self.held.get_mut(&bucket) {
            *held = held.saturating_sub(amount);
            if held.is_zero() {
                self.held.remove(&bucket);
            }
        }
    }

    /// Takes from the newest earnings first: they are the ones in question.
    fn take_held(&mut self, mut amount: Money) {
        while !amount.is_zero() {
            let Some(mut newest) = self.held.last_entry() else {
                return;
            };
            let taken = (*newest.get()).min(amount);
            amount = amount.saturating_sub(taken);
            let left = newest.get().saturating_sub(taken);
            if left.is_zero() {
                newest.remove();
            } else {
                newest.insert(left);
            }
        }
    }
}
