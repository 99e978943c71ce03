//! Providers that leave, with notice and without, and what it costs them.
//!
//! The broken lease costs 3.60 USD/h and has 9 of 10 hours to go; its replacement costs 7.20. So
//! F = 9 h × 3.60 for the difference + 0.05 for moving + 10 % of 32.40 = 35.69 USD.

use remuda_ledger::Account;
use remuda_network::command::{LeaveManner, ObservedPhase};
use remuda_network::event::Compensation;
use remuda_network::state::{EndReason, Presence, Standing};
use remuda_network::{Command, Event, Policy};
use remuda_types::{Money, NodeKey, ProviderId, Span, TenantId, WorkloadId};

use crate::world::{World, lax, secs, terms, usd};

fn hours(n: u64) -> Span {
    secs(n * 3_600)
}

fn policy() -> Policy {
    Policy {
        slice: hours(10),
        lease_term: hours(10),
        notice: hours(1),
        ..lax()
    }
}

struct Leaving {
    world: World,
    provider: ProviderId,
    node: NodeKey,
    tenants: Vec<TenantId>,
    workloads: Vec<WorkloadId>,
}

/// Some tenants' replicas, ready for an hour, on the node of a provider with this bond.
fn leaving(bond: &str, tenants: u8) -> Leaving {
    let mut world = World::new(policy());
    let (provider, node) = world.node(1, "7.20");
    world.node(2, "14.40");
    world.bond(provider, bond);
    let parties: Vec<_> = (1..=tenants).map(|n| world.project(n, "1000.00")).collect();
    let workloads: Vec<_> = parties
        .iter()
        .map(|(_, project)| world.deploy(*project, &terms(1), 1))
        .collect();
    for workload in &workloads {
        world.all_ready(*workload);
    }
    world.wait(hours(1));
    Leaving {
        world,
        provider,
        node,
        tenants: parties.into_iter().map(|(tenant, _)| tenant).collect(),
        workloads,
    }
}

/// What was taken from holdback and bond, and what the tenants and the pool got.
struct Paid {
    from_held: Money,
    from_bond: Money,
    to_tenants: Vec<Compensation>,
    to_pool: Money,
}

impl Leaving {
    fn go(&mut self, manner: LeaveManner) -> Vec<Event> {
        let provider = self.provider;
        self.world.run(Command::LeaveProvider { provider, manner })
    }

    fn paid(&mut self) -> Option<Paid> {
        let events = self.go(LeaveManner::Now);
        let paid = events.into_iter().find_map(|event| match event {
            Event::Forfeited {
                from_held,
                from_bond,
                to_tenants,
                to_pool,
                ..
            } => Some(Paid {
                from_held,
                from_bond,
                to_tenants,
                to_pool,
            }),
            _ => None,
        })?;
        let tenants = paid
            .to_tenants
            .iter()
            .fold(Money::ZERO, |sum, c| sum.saturating_add(c.amount));
        let given = paid.from_held.saturating_add(paid.from_bond);
        assert_eq!(given, tenants.saturating_add(paid.to_pool));
        Some(paid)
    }

    fn credit(&self, n: usize) -> Money {
        self.world.posted(Account::TenantCredit(self.tenants[n]))
    }
}

#[test]
fn leaving_at_once_costs_the_fee_and_a_quarter_of_the_bond_holdback_first() {
    let mut it = leaving("100.00", 1);
    let paid = it.paid().unwrap();
    assert_eq!(
        (paid.from_held, paid.from_bond),
        (usd("3.384"), usd("57.306"))
    );
    assert_eq!(
        (paid.to_tenants[0].amount, paid.to_pool),
        (usd("35.69"), usd("25.00"))
    );
    assert_eq!(it.credit(0), usd("35.69"));
    assert_eq!(it.world.posted(Account::InsurancePool), usd("25.036"));
    assert_eq!(
        it.world.posted(Account::ProviderBond(it.provider)),
        usd("42.694")
    );
    assert_eq!(
        it.world.posted(Account::ProviderHeld(it.provider)),
        Money::ZERO
    );
    // Nothing of it to the platform beyond its share of the hour.
    assert_eq!(it.world.posted(Account::PlatformFee), usd("0.18"));
    // The replica runs elsewhere.
    let lease = it.world.only(it.workloads[0]);
    assert_ne!(it.world.lease(lease).node, it.node);
    assert!(it.go(LeaveManner::Now).is_empty());
}

#[test]
fn a_stake_that_is_too_small_is_shared_among_the_tenants_and_the_pool_gets_nothing() {
    let mut it = leaving("10.00", 2);
    let paid = it.paid().unwrap();
    assert_eq!(
        (paid.from_held, paid.from_bond),
        (usd("6.768"), usd("10.00"))
    );
    assert_eq!(paid.to_pool, Money::ZERO);
    assert_eq!((it.credit(0), it.credit(1)), (usd("8.384"), usd("8.384")));
    assert_eq!(
        it.world.posted(Account::ProviderBond(it.provider)),
        Money::ZERO
    );
}

#[test]
fn credit_is_spent_before_what_was_prepaid() {
    let mut it = leaving("100.00", 1);
    it.paid();
    let project = *it.world.state().projects.keys().next().unwrap();
    let amount = usd("35.00");
    it.world.run(Command::FundBudget { project, amount });
    assert_eq!(it.credit(0), usd("0.69"));
}

#[test]
fn leases_that_drain_already_are_not_missed() {
    let mut it = leaving("100.00", 1);
    let workload = it.workloads[0];
    it.world.run(Command::StopWorkload { workload });
    assert!(it.paid().is_none());
    assert_eq!(
        it.world.posted(Account::ProviderBond(it.provider)),
        usd("100.00")
    );
    assert!(it.world.state().workloads.is_empty());
}

#[test]
fn with_notice_the_replicas_move_and_nothing_is_forfeited() {
    let mut it = leaving("100.00", 1);
    it.go(LeaveManner::Notice);
    let replica = it.world.held(it.workloads[0])[0].0;
    let next = it.world.state().replicas[&replica].successor.unwrap();
    it.world.see(next, ObservedPhase::Ready);
    it.world.tick_after(secs(30));
    assert_eq!(it.world.only(it.workloads[0]), next);
    it.world.tick_after(hours(1));
    let provider = &it.world.state().providers[&it.provider];
    assert_eq!(provider.standing, Standing::Left(it.world.now));
    assert!(matches!(it.world.presence(it.node), Presence::Left(_)));
    assert_eq!(
        it.world.posted(Account::ProviderBond(it.provider)),
        usd("100.00")
    );
    assert_eq!(it.credit(0), Money::ZERO);
}

/// The nodes left over are full: what cannot move waits, and is never forgotten.
#[test]
fn when_the_notice_is_over_what_could_not_move_waits_for_a_node() {
    let mut world = World::new(policy());
    let (provider, node) = world.node(1, "7.20");
    let (_, project) = world.project(1, "1000.00");
    let workload = world.deploy(project, &terms(1), 1);
    world.all_ready(workload);
    let manner = LeaveManner::Notice;
    world.run(Command::LeaveProvider { provider, manner });
    world.tick_after(hours(1));
    assert!(matches!(world.presence(node), Presence::Left(_)));
    let (replica, lease) = world.held(workload)[0];
    assert_eq!(lease, None);
    let waiting = &world.state().replicas[&replica];
    assert_eq!(waiting.last_end, Some(EndReason::Drained));
    world.node(2, "1.00");
    world.tick_after(secs(60));
    world.see(world.only(workload), ObservedPhase::Ready);
}

#[test]
fn a_slice_and_a_notice_that_end_together_are_settled_once() {
    let mut world = World::new(Policy {
        slice: hours(1),
        ..policy()
    });
    let (provider, _) = world.node(1, "7.20");
    let (_, project) = world.project(1, "1000.00");
    let workload = world.deploy(project, &terms(1), 1);
    world.all_ready(workload);
    let manner = LeaveManner::Notice;
    world.run(Command::LeaveProvider { provider, manner });
    let events = world.tick_after(hours(1));
    let settled = events
        .iter()
        .filter(|event| matches!(event, Event::LeaseSettled { .. }));
    assert_eq!(settled.count(), 1);
    assert_eq!(
        world.available(Account::ProjectBudget(project)),
        usd("996.40")
    );
}

#[test]
fn nodes_of_a_provider_under_notice_come_back_to_drain_and_of_one_that_left_not_at_all() {
    let mut it = leaving("100.00", 1);
    it.go(LeaveManner::Notice);
    let (node, last_seen) = (it.node, it.world.now);
    it.world.run(Command::NodeLost { node, last_seen });
    it.world.connect(node);
    assert!(matches!(it.world.presence(node), Presence::Draining(_)));
    it.go(LeaveManner::Now);
    let text = it.world.refused(Command::NodeConnected {
        node,
        capacity: crate::world::capacity(),
    });
    assert_eq!(text, "the node is gone for good: join with a new key");
}
