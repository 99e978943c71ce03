//! Whom a step of a random history is about: drawn from what there is by then, and at times nobody.

use std::collections::BTreeSet;

use proptest::sample::Index;
use remuda_ledger::Rail;
use remuda_network::command::{EnrolNode, IssueKey, NewPlan};
use remuda_network::event::UsageTotal;
use remuda_network::placement::{Cell, Congestion, Fleet, Plan, Quota};
use remuda_network::state::{KeyOwner, Scope, Terms};
use remuda_network::{Command, Outlook, State};
use remuda_types::{
    ApiKeyId, Capacity, Digest, LeaseId, Money, NodeKey, Place, Price, ProjectId, ProviderId,
    SiteId, Span, TenantId, Time, TrancheId, WorkloadId,
};

use super::step::Ask;
use crate::world::{GATEWAY, key, label};

/// One of the keys, or one that is not there.
fn any_of<T: Copy>(mut known: Vec<T>, unknown: T, index: Index) -> T {
    if known.len() < 4 {
        known.push(unknown);
    }
    *index.get(&known)
}

pub(super) struct Names<'a> {
    pub(super) state: &'a State,
    pub(super) first: Index,
    pub(super) second: Index,
}

impl Names<'_> {
    fn provider(&self) -> ProviderId {
        let known = self.state.providers.keys().copied().collect();
        any_of(known, ProviderId::from_u128(7), self.first)
    }

    fn site(&self) -> SiteId {
        let known = self.state.sites.keys().copied().collect();
        any_of(known, SiteId::from_u128(7), self.second)
    }

    fn tenant(&self) -> TenantId {
        let known = self.state.tenants.keys().copied().collect();
        any_of(known, TenantId::from_u128(7), self.first)
    }

    fn project(&self) -> ProjectId {
        let known = self.state.projects.keys().copied().collect();
        any_of(known, ProjectId::from_u128(7), self.first)
    }

    fn workload(&self) -> WorkloadId {
        let known = self.state.workloads.keys().copied().collect();
        any_of(known, WorkloadId::from_u128(7), self.first)
    }

    fn reservation(&self) -> WorkloadId {
        let known = self.state.reservations.keys().copied().collect();
        any_of(known, WorkloadId::from_u128(7), self.first)
    }

    fn key(&self) -> ApiKeyId {
        let known = self.state.keys.keys().copied().collect();
        any_of(known, ApiKeyId::from_u128(7), self.first)
    }

    fn lease(&self) -> (LeaseId, NodeKey, u64) {
        let live = self
            .state
            .leases
            .iter()
            .map(|(id, l)| (*id, l.node, l.epoch));
        let ended = self.state.ended_leases.iter();
        let known = live.chain(ended.map(|(id, l)| (*id, l.node, 1))).collect();
        any_of(known, (LeaseId::from_u128(7), key(7), 1), self.second)
    }

    fn usage(&self, amount: Money) -> Vec<UsageTotal> {
        let total = UsageTotal {
            lease: self.lease().0,
            key: self.key(),
            requests: 1,
            prompt_tokens: 2,
            completion_tokens: 3,
            amount,
        };
        vec![total; self.first.index(3)]
    }

    #[expect(
        clippy::too_many_lines,
        reason = "one arm for each thing to ask; each arm is one command"
    )]
    pub(super) fn command(&self, ask: Ask, now: Time) -> Command {
        let ago = |ms| now - Span::from_millis(ms);
        match ask {
            Ask::Policy(policy) => Command::SetPolicy(Box::new(policy)),
            Ask::Provider(n) => Command::RegisterProvider { label: label(n) },
            Ask::Bond(amount) => Command::DepositBond {
                provider: self.provider(),
                amount,
                rail: Rail::Chain,
            },
            Ask::Site(n) => Command::RegisterSite {
                provider: self.provider(),
                label: label(n),
                country: "KR".parse().unwrap(),
                place: Place::from_degrees(f64::from(n), 0.0).unwrap(),
            },
            Ask::Enrol(n, capacity, price) => self.enrol(n, capacity, price),
            Ask::Connected(n, capacity) => Command::NodeConnected {
                node: key(n),
                capacity,
            },
            Ask::Disconnected(n) => Command::NodeDisconnected { node: key(n) },
            Ask::Suspected(n, ms) => Command::NodeSuspected {
                node: key(n),
                last_seen: ago(ms),
            },
            Ask::Cleared(n) => Command::NodeCleared { node: key(n) },
            Ask::Lost(n, ms) => Command::NodeLost {
                node: key(n),
                last_seen: ago(ms),
            },
            Ask::Leaving(n) => Command::NodeLeaving { node: key(n) },
            Ask::Returned(n) => Command::NodeReturned { node: key(n) },
            Ask::Drain(n) => Command::DrainNode { node: key(n) },
            Ask::DrainSite => Command::DrainSite { site: self.site() },
            Ask::Resume(n) => Command::ResumeNode { node: key(n) },
            Ask::ResumeSite => Command::ResumeSite { site: self.site() },
            Ask::Leave(manner) => Command::LeaveProvider {
                provider: self.provider(),
                manner,
            },
            Ask::Tenant(n) => Command::CreateTenant { label: label(n) },
            Ask::TopUp(amount, rail) => Command::TopUp {
                tenant: self.tenant(),
                amount,
                rail,
            },
            Ask::Project(n) => Command::CreateProject {
                tenant: self.tenant(),
                label: label(n),
            },
            Ask::Fund(amount) => Command::FundBudget {
                project: self.project(),
                amount,
            },
            Ask::Key(n) => self.issue(n),
            Ask::Revoke => Command::RevokeKey { key: self.key() },
            Ask::Deploy(terms, replicas) => Command::Deploy {
                project: self.project(),
                terms: Box::new(terms),
                replicas,
            },
            Ask::Scale(replicas) => Command::Scale {
                workload: self.workload(),
                replicas,
            },
            Ask::Reserve(terms, n, from, long) => self.reserve(terms, n, now, (from, long)),
            Ask::Order(terms, replicas, long) => Command::PlaceOrder {
                project: self.project(),
                terms: Box::new(terms),
                replicas,
                until: now + Span::from_secs(long),
            },
            Ask::CancelOrder => {
                let known = self.state.orders.keys().copied().collect();
                let workload = any_of(known, WorkloadId::from_u128(7), self.first);
                Command::CancelOrder { workload }
            }
            Ask::Cancel => Command::CancelReservation {
                workload: self.reservation(),
            },
            Ask::Stop => Command::StopWorkload {
                workload: self.workload(),
            },
            Ask::See(observed, stale) => {
                let (lease, node, epoch) = self.lease();
                Command::ObserveReplica {
                    node,
                    lease,
                    epoch: if stale == 0 { epoch + 1 } else { epoch },
                    observed,
                    since: now - Span::from_secs(stale),
                }
            }
            Ask::Open(n, amount) => Command::OpenTranche {
                gateway: GATEWAY,
                tranche: TrancheId::from_u128(u128::from(n)),
                project: self.project(),
                amount,
            },
            Ask::Post(n, ahead, amount) => {
                let tranche = TrancheId::from_u128(u128::from(n));
                let last = self.state.tranches.get(&tranche).map_or(0, |open| open.seq);
                Command::PostUsage {
                    gateway: GATEWAY,
                    tranche,
                    seq: last + ahead.min(2),
                    totals: self.usage(amount),
                    rows: Digest::default(),
                }
            }
            Ask::Close(n) => Command::CloseTranche {
                gateway: GATEWAY,
                tranche: TrancheId::from_u128(u128::from(n)),
            },
            Ask::Plan(rows, ahead) => self.plan(&rows, ahead),
            Ask::Tick { adopting } => Command::Tick { adopting },
            Ask::Repack => Command::Repack {
                from: LeaseId::from_u128(0),
            },
        }
    }

    fn reserve(&self, terms: Terms, replicas: u32, now: Time, (from, long): (u64, u64)) -> Command {
        let from = now + Span::from_secs(from);
        Command::Reserve {
            project: self.project(),
            terms: Box::new(terms),
            replicas,
            from,
            to: from + Span::from_secs(long),
        }
    }

    fn enrol(&self, n: u8, capacity: Capacity, price: u64) -> Command {
        let site = self.site();
        let owner = self.state.sites.get(&site).map(|site| site.provider);
        Command::EnrolNode(Box::new(EnrolNode {
            node: key(n),
            provider: owner.unwrap_or_else(|| self.provider()),
            site,
            class: "h100-sxm-80".parse().unwrap(),
            capacity,
            price: Price::from_micros_per_hour(price),
        }))
    }

    fn plan(&self, rows: &[(Terms, Index, u64)], ahead: u64) -> Command {
        let sites: Vec<_> = self.state.sites.keys().copied().collect();
        let quota = |(terms, site, gpu_milli): &(Terms, Index, u64)| {
            Some(Quota {
                class: terms.demand_class()?,
                cell: Cell {
                    site: any_of(sites.clone(), SiteId::from_u128(7), *site),
                    class: "h100-sxm-80".parse().unwrap(),
                },
                gpu_milli: *gpu_milli,
            })
        };
        let outlook = Outlook::of(self.state);
        let expected = outlook.expected.iter().map(|(task, count)| (task, *count));
        let last = self.state.plan.as_ref().map_or(0, |plan| plan.number);
        Command::AdoptPlan(Box::new(NewPlan {
            number: last + ahead,
            quotas: rows.iter().filter_map(quota).collect(),
            packing: Plan::new(&Fleet::new(), expected, Congestion::new(20, 4_000)),
        }))
    }

    fn issue(&self, n: u8) -> Command {
        let owner = match n {
            0 => KeyOwner::Operator,
            1 => KeyOwner::Project(self.project()),
            _ => KeyOwner::Provider(self.provider()),
        };
        Command::IssueKey(Box::new(IssueKey {
            owner,
            digest: Digest([n; 32]),
            scopes: BTreeSet::from([Scope::Supply]),
            expires: None,
            requests_per_minute: 0,
        }))
    }
}
