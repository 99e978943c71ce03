//! Spot gives way to what is sold under a promise.

use remuda_network::command::{LeaveManner, ObservedPhase};
use remuda_network::state::{EndReason, Fault, Phase, Terms};
use remuda_network::{Command, Event};
use remuda_types::{LeaseId, Shape, Tier};

use crate::world::{World, command_id, key, lax, per_hour, secs, terms, usd};

fn spot(n: u8) -> Terms {
    Terms {
        tier: Tier::Spot,
        ..terms(n)
    }
}

fn ended(events: &[Event]) -> Vec<LeaseId> {
    let ended = events.iter().filter_map(|event| match event {
        Event::LeaseEnded { lease, .. } => Some(*lease),
        _ => None,
    });
    ended.collect()
}

fn deploy(project: remuda_types::ProjectId, terms: &Terms, replicas: u32) -> Command {
    Command::Deploy {
        project,
        terms: Box::new(terms.clone()),
        replicas,
    }
}

#[test]
fn the_youngest_spot_lease_ends_and_its_replica_waits() {
    let mut world = World::new(lax());
    world.node(1, "1.00");
    let (_, project) = world.project(1, "100.00");
    let old = world.deploy(project, &spot(1), 1);
    world.all_ready(old);
    world.wait(secs(60));
    let young = world.deploy(project, &spot(2), 1);
    world.all_ready(young);
    let (kept, gone) = (world.only(old), world.only(young));
    world.wait(secs(60));

    let events = world.run(deploy(project, &terms(3), 1));
    assert_eq!(ended(&events), [gone]);
    let told = events.iter().find_map(|event| match event {
        Event::LeaseEnded { reason, fault, .. } => Some((*reason, *fault)),
        _ => None,
    });
    assert_eq!(told, Some((EndReason::GaveWay, Fault::Nobody)));
    // It is charged for the minute that it ran, and not for what comes after.
    let charged = events.iter().find_map(|event| match event {
        Event::LeaseSettled { lease, meter, .. } if *lease == gone => Some(meter.ready),
        _ => None,
    });
    assert_eq!(charged, Some(secs(60)));
    assert_eq!(world.phase(kept), Phase::Ready);

    // Its replica looks for a node again, and finds one when there is one.
    assert_eq!(world.held(young)[0].1, None);
    world.tick_after(secs(1));
    assert_eq!(world.held(young)[0].1, None);
    world.node(2, "1.00");
    world.tick_after(secs(60));
    world.see(world.only(young), ObservedPhase::Ready);
}

#[test]
fn as_few_end_as_need_to() {
    let mut world = World::new(lax());
    world.node(1, "1.00");
    let (_, project) = world.project(1, "100.00");
    let sized = |n, gpu_milli, cpu_milli| Terms {
        shape: Shape {
            gpu_milli,
            cpu_milli,
            ..Shape::default()
        },
        ..spot(n)
    };
    // The oldest alone has enough CPU; the younger two, together, would have had it too.
    let large = world.deploy(project, &sized(1, 0, 2_000), 1);
    world.wait(secs(1));
    let small = world.deploy(project, &sized(2, 0, 1_000), 2);
    let mut wanted = terms(3);
    wanted.shape.cpu_milli = 2_000;
    let events = world.run(deploy(project, &wanted, 1));
    assert_eq!(ended(&events).len(), 1);
    assert_eq!(world.held(large)[0].1, None);
    assert!(world.held(small).iter().all(|(_, lease)| lease.is_some()));
}

#[test]
fn a_group_takes_what_is_free_and_then_what_spot_has() {
    let mut world = World::new(lax());
    for n in 1..=3 {
        world.node(n, "1.00");
    }
    let (_, project) = world.project(1, "100.00");
    let spots = world.deploy(project, &spot(1), 5);
    let mut wanted = terms(2);
    wanted.tier = Tier::MultiSite;
    assert_eq!(
        world.refused(deploy(project, &wanted, 4)),
        "no capacity: placed 3 of 4; for the next: 3 nodes: 3 of an owner that has 1 already"
    );
    let events = world.run(deploy(project, &wanted, 3));
    assert_eq!(ended(&events).len(), 2, "{events:?}");
    let left = world.held(spots);
    let left = left.iter().filter(|(_, lease)| lease.is_some());
    assert_eq!(left.count(), 3);
}

#[test]
fn what_cannot_be_paid_ends_nothing() {
    let mut world = World::new(lax());
    let (_, node) = world.node(1, "1.00");
    let (_, rich) = world.project(1, "100.00");
    let spots = world.deploy(rich, &spot(1), 2);
    world.all_ready(spots);
    let (_, poor) = world.project(2, "0");
    let refused = world.refused(deploy(poor, &terms(2), 1));
    assert!(refused.starts_with("the project's budget has"), "{refused}");
    assert_eq!(world.state().nodes[&node].leases.len(), 2);
}

#[test]
fn a_refusal_counts_what_is_held_under_a_promise_only() {
    let mut world = World::new(lax());
    world.node(1, "1.00");
    world.node(2, "1.00");
    let (_, project) = world.project(1, "100.00");
    world.deploy(project, &terms(1), 1);
    world.deploy(project, &spot(2), 3);
    let pair = |tier| Terms {
        shape: Shape {
            gpu_milli: 2_000,
            ..Shape::default()
        },
        tier,
        ..terms(3)
    };
    let refused = world.refused(deploy(project, &pair(Tier::Spot), 1));
    assert_eq!(refused, "no capacity: 2 nodes: 2 without 2 GPUs free");
    let refused = world.refused(deploy(project, &pair(Tier::Standard), 2));
    assert_eq!(
        refused,
        "no capacity: placed 1 of 2; for the next: 2 nodes: 2 without 2 GPUs free"
    );
    world.deploy(project, &pair(Tier::Standard), 1);
}

#[test]
fn a_replica_that_lost_its_node_takes_the_place_of_spot() {
    let mut world = World::new(lax());
    let (_, node) = world.node(1, "1.00");
    let (_, project) = world.project(1, "100.00");
    let firm = world.deploy(project, &terms(1), 1);
    world.all_ready(firm);
    let beside = world.deploy(project, &spot(2), 1);
    world.node(2, "2.00");
    let spots = world.deploy(project, &spot(3), 2);
    world.all_ready(spots);
    let last_seen = world.now;
    let events = world.run(Command::NodeLost { node, last_seen });
    assert_eq!(ended(&events).len(), 3, "{events:?}");
    assert!(world.held(firm)[0].1.is_some());
    assert_eq!(world.held(beside)[0].1, None);
}

#[test]
fn a_lease_that_was_just_renewed_is_not_settled_twice() {
    let policy = remuda_network::Policy {
        slice: secs(60),
        ..lax()
    };
    let mut world = World::new(policy);
    let (_, node) = world.node(1, "1.00");
    let (_, project) = world.project(1, "100.00");
    let firm = world.deploy(project, &terms(1), 2);
    world.all_ready(firm);
    world.node(2, "1.00");
    let spots = world.deploy(project, &spot(2), 2);
    world.all_ready(spots);
    // One slice of spot and the search for a node are due at the same tick.
    world.wait(secs(59));
    let (last_seen, node_before) = (world.now, node);
    world.wait(secs(1));
    world.run(Command::NodeLost {
        node: node_before,
        last_seen,
    });
    assert!(world.held(firm).iter().all(|(_, lease)| lease.is_some()));
    world.tick_after(secs(1));
    world.tick_after(secs(60));
    let budget = remuda_ledger::Account::ProjectBudget(project);
    assert!(world.available(budget) > usd("0"));
}

#[test]
fn who_has_a_promise_goes_before_spot_of_all_nodes_of_a_provider_that_leaves() {
    let mut world = World::new(lax());
    let provider = world.provider(1);
    let site = world.site(provider, 1);
    for (n, price) in [(1, "1.00"), (2, "2.00")] {
        world.run(World::enrol(provider, site, key(n), per_hour(price)));
        world.connect(key(n));
    }
    let (_, project) = world.project(1, "1000.00");
    let lent = world.deploy(project, &spot(1), 2);
    let firm = world.deploy(project, &terms(2), 2);
    for workload in [lent, firm] {
        world.all_ready(workload);
    }
    // With room for two of the four.
    let (_, left) = world.node(3, "3.00");
    world.run(Command::LeaveProvider {
        provider,
        manner: LeaveManner::Now,
    });
    let on = |lease: Option<LeaseId>| lease.map(|lease| world.lease(lease).node);
    let nodes = |workload| {
        let held = world.held(workload).into_iter();
        held.map(|(_, lease)| on(lease)).collect::<Vec<_>>()
    };
    assert_eq!(nodes(firm), [Some(left); 2]);
    assert_eq!(nodes(lent), [None; 2]);
}

#[test]
fn spot_is_spared_until_it_is_known_what_it_served() {
    let mut world = World::new(lax());
    world.node(1, "1.00");
    let (_, project) = world.project(1, "100.00");
    let lent = world.deploy(project, &spot(1), 2);
    world.all_ready(lent);
    world.network.spare_spot(true);
    let (wanted, id) = (deploy(project, &terms(2), 1), command_id(world.now, 99));
    let refused = world.network.decide(world.now, id, &wanted).unwrap_err();
    assert_eq!(refused.code(), "no-capacity");
    world.network.spare_spot(false);
    assert_eq!(ended(&world.run(deploy(project, &terms(2), 1))).len(), 1);
}
