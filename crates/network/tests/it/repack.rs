//! Replicas that move to where they would be put today.

use std::collections::BTreeSet;

use remuda_network::command::ObservedPhase;
use remuda_network::policy::Repack;
use remuda_network::state::Terms;
use remuda_network::{Command, Event, Policy, repack};
use remuda_types::{LeaseId, NodeKey, Span, Tier, WorkloadId, WorkloadKind};

use crate::world::{World, key, lax, secs, terms, usd};

const FIRST: LeaseId = LeaseId::from_u128(0);

fn policy(repack: Repack) -> Policy {
    Policy { repack, ..lax() }
}

fn look(world: &mut World) -> Vec<Event> {
    world.run(Command::Repack { from: FIRST })
}

/// One ready replica on a node that costs two dollars; then one comes that costs one.
fn dear(policy: Policy, terms: &Terms) -> (World, WorkloadId) {
    let mut world = World::new(policy);
    world.node(1, "2.00");
    let (_, project) = world.project(1, "10000.00");
    let workload = world.deploy(project, terms, 1);
    world.all_ready(workload);
    world.node(2, "1.00");
    (world, workload)
}

fn node_of(world: &World, workload: WorkloadId) -> NodeKey {
    world.lease(world.only(workload)).node
}

fn successor(world: &World, workload: WorkloadId) -> Option<LeaseId> {
    let replica = world.held(workload)[0].0;
    world.state().replicas[&replica].successor
}

#[test]
fn a_replica_moves_where_it_costs_less_and_serves_all_along() {
    let (mut world, workload) = dear(policy(Repack::default()), &terms(1));
    look(&mut world);
    let next = successor(&world, workload).unwrap();
    assert_eq!(node_of(&world, workload), key(1), "it still serves there");
    assert_eq!(look(&mut world), [], "once is enough");
    world.see(next, ObservedPhase::Ready);
    assert_eq!(node_of(&world, workload), key(2));
    world.tick_after(secs(30));
    assert_eq!(world.state().leases.len(), 1);
    assert_eq!(look(&mut world), []);
}

#[test]
fn what_gains_less_than_a_move_costs_stays() {
    let hour = Repack {
        horizon: Span::HOUR,
        ..Repack::default()
    };
    let dearer = Policy {
        migration_cost: usd("0.60"),
        ..policy(hour)
    };
    // Half of a node of two GPUs: half a dollar an hour is saved.
    let (mut world, _) = dear(dearer, &terms(1));
    assert_eq!(look(&mut world), []);
    let cheaper = Policy {
        migration_cost: usd("0.40"),
        ..policy(hour)
    };
    let (mut world, workload) = dear(cheaper, &terms(1));
    look(&mut world);
    assert!(successor(&world, workload).is_some());
}

#[test]
fn what_cannot_be_in_two_places_stays() {
    for kind in [
        WorkloadKind::Job,
        WorkloadKind::Machine,
        WorkloadKind::Session,
    ] {
        let fixed = Terms { kind, ..terms(1) };
        let (mut world, _) = dear(policy(Repack::default()), &fixed);
        assert_eq!(look(&mut world), []);
    }
    let (mut world, _) = dear(policy(Repack::default()), &terms(1));
    let (node, last_seen) = (key(1), world.now);
    world.run(Command::NodeSuspected { node, last_seen });
    assert_eq!(look(&mut world), []);
}

#[test]
fn replicas_that_are_to_be_apart_move_one_at_a_time_and_stay_apart() {
    let mut world = World::new(policy(Repack::default()));
    world.node(1, "3.00");
    world.node(2, "3.00");
    let (_, project) = world.project(1, "10000.00");
    let apart = Terms {
        tier: Tier::MultiSite,
        ..terms(1)
    };
    let workload = world.deploy(project, &apart, 2);
    world.all_ready(workload);
    world.node(3, "1.00");
    world.node(4, "2.00");
    for _ in 0..2 {
        let granted = look(&mut world);
        let lease = granted.iter().find_map(|event| match event {
            Event::LeaseGranted { lease, .. } => Some(*lease),
            _ => None,
        });
        world.see(lease.unwrap(), ObservedPhase::Ready);
        world.tick_after(secs(30));
    }
    assert_eq!(look(&mut world), []);
    let nodes: BTreeSet<_> = world.state().leases.values().map(|l| l.node).collect();
    assert_eq!(nodes, BTreeSet::from([key(3), key(4)]));
}

#[test]
fn leases_are_looked_at_in_turn() {
    let look = 2;
    let (mut world, _) = dear(
        policy(Repack {
            look,
            ..Repack::default()
        }),
        &terms(1),
    );
    let (_, project) = world.project(2, "10000.00");
    world.deploy(project, &terms(2), 2);
    let state = world.state();
    let all: Vec<_> = state.leases.keys().copied().collect();
    assert_eq!(all.len(), 3);
    assert_eq!(repack::next(state, FIRST), all[2]);
    assert_eq!(repack::next(state, all[2]), FIRST);
    let looked: Vec<_> = repack::looked_at(state, all[1]).map(|(id, _)| id).collect();
    assert_eq!(looked, all[1..]);
}
