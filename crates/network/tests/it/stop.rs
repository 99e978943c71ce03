//! Workloads that are stopped or scaled down.

use remuda_ledger::Account;
use remuda_network::command::ObservedPhase;
use remuda_network::state::{EndReason, Phase};
use remuda_network::{Command, Event};
use remuda_types::{ProjectId, WorkloadId};

use crate::world::{World, lax, secs, terms, usd};

fn running(replicas: u32) -> (World, ProjectId, WorkloadId) {
    let mut world = World::new(lax());
    world.node(1, "7.20");
    world.node(2, "7.20");
    let (_, project) = world.project(1, "1000.00");
    let workload = world.deploy(project, &terms(1), replicas);
    (world, project, workload)
}

fn ended(events: &[Event]) -> Vec<EndReason> {
    let reason = |event: &Event| match event {
        Event::LeaseEnded { reason, .. } => Some(*reason),
        _ => None,
    };
    events.iter().filter_map(reason).collect()
}

#[test]
fn a_ready_workload_finishes_what_it_has_is_charged_for_it_and_is_gone() {
    let (mut world, project, workload) = running(1);
    world.all_ready(workload);
    let lease = world.only(workload);
    world.wait(secs(10));
    world.run(Command::StopWorkload { workload });
    assert_eq!(world.phase(lease), Phase::Draining(world.now + secs(30)));
    assert!(world.run(Command::StopWorkload { workload }).is_empty());
    world.wait(secs(5));
    let events = world.see(lease, ObservedPhase::Ended(EndReason::Crashed));
    assert_eq!(ended(&events), [EndReason::Stopped]);
    assert!(world.state().workloads.is_empty() && world.state().replicas.is_empty());
    assert_eq!(
        world.available(Account::ProjectBudget(project)),
        usd("999.985")
    );
    world.deploy(project, &terms(1), 1);
}

#[test]
fn what_was_never_ready_has_nothing_to_finish_and_is_never_charged() {
    let (mut world, project, workload) = running(2);
    world.see(world.held(workload)[0].1.unwrap(), ObservedPhase::Starting);
    world.wait(secs(10));
    let events = world.run(Command::StopWorkload { workload });
    assert_eq!(ended(&events), [EndReason::Stopped; 2]);
    assert!(world.state().workloads.is_empty());
    assert_eq!(
        world.available(Account::ProjectBudget(project)),
        usd("1000.00")
    );
}

#[test]
fn a_workload_ends_with_its_last_lease_and_not_with_its_last_replica() {
    let (mut world, _, workload) = running(2);
    world.all_ready(workload);
    world.run(Command::Scale {
        workload,
        replicas: 1,
    });
    assert_eq!(
        (world.held(workload).len(), world.state().leases.len()),
        (1, 2)
    );
    world.wait(secs(10));
    let kept = world.only(workload);
    world.run(Command::StopWorkload { workload });
    world.see(kept, ObservedPhase::Ended(EndReason::Stopped));
    assert!(world.state().workloads.contains_key(&workload));
    let events = world.tick_after(secs(20));
    assert_eq!(ended(&events), [EndReason::Stopped]);
    assert!(world.state().workloads.is_empty() && world.state().leases.is_empty());
}

#[test]
fn scaling_down_lets_those_go_first_that_have_no_lease() {
    let (mut world, _, workload) = running(3);
    world.all_ready(workload);
    let crowded = world
        .state()
        .nodes
        .iter()
        .find(|(_, node)| node.leases.len() == 1);
    let (node, last_seen) = (*crowded.unwrap().0, world.now);
    world.run(Command::NodeLost { node, last_seen });
    assert_eq!(
        world
            .held(workload)
            .iter()
            .filter(|(_, lease)| lease.is_none())
            .count(),
        1
    );
    world.run(Command::Scale {
        workload,
        replicas: 2,
    });
    let held = world.held(workload);
    assert!(
        held.iter()
            .all(|(_, lease)| world.phase(lease.unwrap()) == Phase::Ready)
    );
}

#[test]
fn a_replica_that_waits_for_a_node_waits_no_longer_when_its_workload_stops() {
    let (mut world, _, workload) = running(3);
    world.all_ready(workload);
    let crowded = world
        .state()
        .nodes
        .iter()
        .find(|(_, node)| node.leases.len() == 1);
    let (node, last_seen) = (*crowded.unwrap().0, world.now);
    world.run(Command::NodeLost { node, last_seen });
    world.run(Command::StopWorkload { workload });
    assert_eq!(world.network.index().next_due(), Some(world.now + secs(30)));
}
