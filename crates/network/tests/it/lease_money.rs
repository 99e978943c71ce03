//! The money of a lease, to the micro-dollar, worked by hand.
//!
//! A node of 7.20 USD/h with two GPUs: one GPU costs 3.60 USD/h, a micro-dollar a millisecond.

use remuda_ledger::Account;
use remuda_network::command::ObservedPhase;
use remuda_network::event::Charge;
use remuda_network::state::{EndReason, Meter, Phase};
use remuda_network::{Command, Event, Policy};
use remuda_types::{LeaseId, Money, NodeKey, ProjectId, ProviderId, Span, WorkloadId};

use crate::world::{World, lax, secs, terms, usd};

struct One {
    world: World,
    provider: ProviderId,
    node: NodeKey,
    project: ProjectId,
    workload: WorkloadId,
    lease: LeaseId,
}

fn one(policy: Policy, price: &str, budget: &str) -> One {
    let mut world = World::new(policy);
    let (provider, node) = world.node(1, price);
    let (_, project) = world.project(1, budget);
    let workload = world.deploy(project, &terms(1), 1);
    let lease = world.only(workload);
    One {
        world,
        provider,
        node,
        project,
        workload,
        lease,
    }
}

fn settled(events: &[Event]) -> (Meter, Charge) {
    let found = events.iter().find_map(|event| match event {
        Event::LeaseSettled { meter, charge, .. } => Some((*meter, *charge)),
        _ => None,
    });
    found.unwrap()
}

fn charge(amount: i64, earned: i64, fee: i64, pool: i64) -> Charge {
    let [amount, earned, fee, pool] = [amount, earned, fee, pool].map(Money::from_micros);
    Charge {
        amount,
        earned,
        fee,
        pool,
    }
}

impl One {
    fn budget(&self) -> Money {
        self.world.available(Account::ProjectBudget(self.project))
    }

    /// What the provider holds, the platform has and the pool has, in micro-dollars.
    fn shares(&self) -> [i64; 3] {
        let held = Account::ProviderHeld(self.provider);
        [held, Account::PlatformFee, Account::InsurancePool]
            .map(|account| self.world.posted(account).as_micros())
    }

    fn lose(&mut self, last_seen: Span) -> Vec<Event> {
        let (node, last_seen) = (self.node, crate::world::START + last_seen);
        self.world.run(Command::NodeLost { node, last_seen })
    }
}

#[test]
fn a_slice_is_set_aside_charged_by_the_ready_second_and_followed_by_what_the_budget_still_pays() {
    let mut one = one(lax(), "7.20", "100.00");
    assert_eq!(one.budget(), usd("13.60"));
    one.world.wait(secs(10));
    one.world.see(one.lease, ObservedPhase::Ready);

    let events = one.world.tick_after(secs(86_390));
    let (meter, charged) = settled(&events);
    assert_eq!((meter.starting, meter.ready), (secs(10), secs(86_390)));
    assert_eq!(charged, charge(86_390_000, 81_206_600, 4_319_500, 863_900));
    assert_eq!(one.budget(), Money::ZERO);
    assert_eq!(one.world.lease(one.lease).reserved, usd("13.61"));
    assert_eq!(
        one.world.lease(one.lease).slice_end,
        one.world.now + secs(13_610)
    );

    let events = one.world.tick_after(secs(13_610));
    assert_eq!(
        settled(&events).1,
        charge(13_610_000, 12_793_400, 680_500, 136_100)
    );
    assert!(matches!(events.last(), Some(Event::ReplicaUnplaced { .. })));
    assert_eq!(one.shares(), [94_000_000, 5_000_000, 1_000_000]);
    let replica = one.world.held(one.workload)[0].0;
    let ended = one.world.state().replicas[&replica].last_end;
    assert_eq!(ended, Some(EndReason::BudgetExhausted));
}

#[test]
fn fractions_of_a_micro_dollar_are_the_tenants_and_then_the_providers() {
    // 0.50 USD/h for 7.003 s is 972.6 micro-dollars; 5 % of 972 is 48.6, 1 % is 9.7.
    let mut one = one(lax(), "1.000001", "100.00");
    one.world.see(one.lease, ObservedPhase::Ready);
    one.world.wait(Span::from_millis(7_003));
    let crashed = ObservedPhase::Ended(EndReason::Crashed);
    let events = one.world.see(one.lease, crashed);
    assert_eq!(settled(&events).1, charge(972, 915, 48, 9));
    assert_eq!(one.budget(), usd("99.999028"));
}

#[test]
fn a_late_tick_takes_from_the_budget_what_it_has_and_no_more() {
    for (late, expected) in [(3_600, "90.00"), (7_200, "90.00"), (1_800, "88.20")] {
        let mut one = one(lax(), "7.20", "90.00");
        one.world.see(one.lease, ObservedPhase::Ready);
        let events = one.world.tick_after(secs(86_400 + late));
        assert_eq!(settled(&events).1.amount, usd(expected));
    }
}

#[test]
fn only_ready_time_is_charged() {
    let mut one = one(lax(), "7.20", "100.00");
    for (phase, seconds) in [
        (ObservedPhase::Preparing, 5),
        (ObservedPhase::Starting, 7),
        (ObservedPhase::Ready, 11),
        (ObservedPhase::Unhealthy, 13),
        (ObservedPhase::Ready, 17),
        (ObservedPhase::Starting, 19),
    ] {
        one.world.see(one.lease, phase);
        one.world.wait(secs(seconds));
    }
    let crashed = ObservedPhase::Ended(EndReason::Crashed);
    let (meter, charged) = settled(&one.world.see(one.lease, crashed));
    assert_eq!(charged.amount, usd("0.028"));
    assert_eq!((meter.ready, meter.starting), (secs(28), secs(31)));
    assert_eq!(meter.suspect, secs(13));
}

/// A program that ended while control was away is charged until it ended, whenever that is told: not
/// to the end of its grace, and not before its lease began.
#[test]
fn what_ended_while_control_was_away_is_charged_until_then() {
    for (ended_ago, charged) in [(20, "0.01"), (0, "0.03"), (100_000, "0")] {
        let mut one = one(lax(), "7.20", "100.00");
        one.world.see(one.lease, ObservedPhase::Ready);
        let workload = one.workload;
        one.world.run(Command::StopWorkload { workload });
        one.world.wait(secs(30));
        let ended = ObservedPhase::Ended(EndReason::Stopped);
        let since = one.world.now - secs(ended_ago);
        let events = one.world.see_since(one.lease, ended, since);
        assert_eq!(settled(&events).1.amount, usd(charged), "{ended_ago} s ago");
    }
}

#[test]
fn nothing_is_charged_after_the_last_sign_of_life() {
    let mut one = one(lax(), "7.20", "100.00");
    one.world.see(one.lease, ObservedPhase::Ready);
    one.world.wait(Span::from_millis(101_500));
    let (node, last_seen) = (one.node, crate::world::START + secs(100));
    one.world.run(Command::NodeSuspected { node, last_seen });
    one.world.wait(Span::from_millis(1_160));
    let (meter, charged) = settled(&one.lose(secs(100)));
    assert_eq!(
        (meter.ready, meter.silent),
        (secs(100), Span::from_millis(2_660))
    );
    assert_eq!(charged, charge(100_000, 94_000, 5_000, 1_000));
}

#[test]
fn a_node_that_was_only_suspected_is_not_paid_for_the_silence() {
    let mut one = one(lax(), "7.20", "100.00");
    one.world.see(one.lease, ObservedPhase::Ready);
    one.world.wait(secs(10));
    let (node, last_seen) = (one.node, crate::world::START + secs(8));
    one.world.run(Command::NodeSuspected { node, last_seen });
    one.world.wait(secs(1));
    one.world.run(Command::NodeCleared { node });
    assert_eq!(one.world.phase(one.lease), Phase::Ready);
    one.world.wait(secs(4));
    let crashed = ObservedPhase::Ended(EndReason::Crashed);
    let (meter, _) = settled(&one.world.see(one.lease, crashed));
    assert_eq!((meter.ready, meter.suspect), (secs(12), secs(3)));
}

#[test]
fn a_replica_that_fails_stays_unpaid_when_its_node_is_cleared() {
    let mut one = one(lax(), "7.20", "100.00");
    one.world.see(one.lease, ObservedPhase::Ready);
    one.world.see(one.lease, ObservedPhase::Unhealthy);
    let (node, last_seen) = (one.node, one.world.now);
    one.world.run(Command::NodeSuspected { node, last_seen });
    one.world.run(Command::NodeCleared { node });
    assert_eq!(one.world.phase(one.lease), Phase::Suspect);
}

#[test]
fn what_was_charged_after_the_last_sign_of_life_is_given_back_by_all_who_had_it() {
    let policy = Policy {
        slice: secs(6),
        slice_min: secs(1),
        ..lax()
    };
    let mut one = one(policy, "7.20", "100.00");
    one.world.see(one.lease, ObservedPhase::Ready);
    one.world.tick_after(secs(6));
    assert_eq!(one.shares(), [5_640, 300, 60]);
    one.world.wait(Span::from_millis(1_160));
    let (meter, charged) = settled(&one.lose(Span::from_millis(4_500)));
    assert_eq!(charged, charge(-1_500, -1_410, -75, -15));
    assert_eq!(meter.ready, Span::ZERO);
    assert_eq!(one.shares(), [4_230, 225, 45]);
    assert_eq!(one.budget(), usd("99.9955"));
}

#[test]
fn a_node_is_not_paid_beyond_the_hard_end_at_which_it_stops_by_itself() {
    let mut one = one(lax(), "0.000072", "100.00");
    one.world.see(one.lease, ObservedPhase::Ready);
    let term = one.world.state().policy.lease_term;
    let events = one.world.tick_after(term.saturating_add(Span::DAY));
    let (meter, charged) = settled(&events);
    assert_eq!((meter.ready, meter.silent), (term, Span::DAY));
    assert_eq!(charged.amount, Money::from_micros(36 * 24 * 30));
}

#[test]
fn earnings_are_released_when_their_bucket_is_old_enough() {
    let mut one = one(lax(), "7.20", "100.00");
    one.world.see(one.lease, ObservedPhase::Ready);
    one.world.wait(secs(100));
    one.world
        .see(one.lease, ObservedPhase::Ended(EndReason::Crashed));
    one.world.run(Command::StopWorkload {
        workload: one.workload,
    });
    one.world.tick_after(secs(15 * 86_400 - 101));
    assert_eq!(one.shares()[0], 94_000);
    one.world.tick_after(secs(1));
    assert_eq!(one.shares()[0], 0);
    let free = Account::ProviderAvailable(one.provider);
    assert_eq!(one.world.posted(free), usd("0.094"));
}

#[test]
fn a_free_node_costs_nothing_even_of_an_empty_budget() {
    let mut one = one(lax(), "0.00", "0.00");
    one.world.see(one.lease, ObservedPhase::Ready);
    one.world.tick_after(Span::DAY);
    assert_eq!(one.world.phase(one.lease), Phase::Ready);
    assert_eq!(one.shares(), [0, 0, 0]);
}

#[test]
fn the_dearest_node_takes_all_there_is_and_nothing_overflows() {
    let mut world = World::new(lax());
    let provider = world.provider(1);
    let site = world.site(provider, 1);
    let dearest = remuda_types::Price::from_micros_per_hour(u64::MAX);
    world.run(World::enrol(provider, site, crate::world::key(1), dearest));
    world.connect(crate::world::key(1));
    let (_, project) = world.project(1, "9223372036854.775807");
    let workload = world.deploy(project, &terms(1), 1);
    world.all_ready(workload);
    let events = world.tick_after(secs(3_601));
    assert_eq!(settled(&events).1.amount, Money::MAX);
    assert_eq!(
        world.available(Account::ProjectBudget(project)),
        Money::ZERO
    );
}

/// A slice a minute.
fn short_slices() -> Policy {
    Policy {
        slice: secs(60),
        ..lax()
    }
}

#[test]
fn a_control_that_comes_back_settles_no_lease_before_it_knows_what_was_served() {
    let mut one = one(short_slices(), "7.20", "100.00");
    one.world.see(one.lease, ObservedPhase::Ready);
    one.world.wait(secs(3_600));
    assert!(one.world.run(Command::Tick { adopting: true }).is_empty());
    // The node was gone since the tenth second.
    let (meter, charge) = settled(&one.lose(secs(10)));
    assert_eq!(meter.ready, secs(10));
    assert_eq!(charge.amount, Money::from_micros(10_000));
}

#[test]
fn a_replica_is_placed_again_all_the_same() {
    let mut one = one(short_slices(), "7.20", "100.00");
    one.world
        .see(one.lease, ObservedPhase::Ended(EndReason::Crashed));
    one.world.wait(secs(3_600));
    let events = one.world.run(Command::Tick { adopting: true });
    let granted = |event: &Event| matches!(event, Event::LeaseGranted { .. });
    assert!(events.iter().any(granted), "{events:?}");
}

#[test]
fn what_was_counted_before_a_loss_was_known_is_not_charged() {
    let mut one = one(lax(), "7.20", "100.00");
    one.world.see(one.lease, ObservedPhase::Ready);
    one.world.wait(secs(3_600));
    // A drain closes the ready time at an instant of which nobody knows yet that it was silent.
    let workload = one.workload;
    one.world.run(Command::StopWorkload { workload });
    let (meter, charge) = settled(&one.lose(secs(10)));
    assert_eq!((meter.ready, meter.silent), (secs(10), secs(3_590)));
    assert_eq!(charge.amount, Money::from_micros(10_000));
}
