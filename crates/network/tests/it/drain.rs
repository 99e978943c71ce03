//! Nodes that drain: a successor serves before the old lease goes.

use remuda_network::command::{LeaveManner, ObservedPhase};
use remuda_network::state::{EndReason, Phase, Presence};
use remuda_network::{Command, Event};
use remuda_types::{LeaseId, NodeKey, ReplicaId, Span, WorkloadId};

use crate::world::{World, lax, secs, terms};

/// One ready replica on the first of two nodes, which drains.
fn draining(second: bool) -> (World, NodeKey, WorkloadId, LeaseId) {
    let mut world = World::new(lax());
    let (_, node) = world.node(1, "1.00");
    if second {
        world.node(2, "2.00");
    }
    let (_, project) = world.project(1, "1000.00");
    let workload = world.deploy(project, &terms(1), 1);
    world.all_ready(workload);
    let lease = world.only(workload);
    world.run(Command::DrainNode { node });
    (world, node, workload, lease)
}

fn waiting_or_moving(world: &World, workload: WorkloadId) -> usize {
    let held = world.held(workload).into_iter();
    let is_at_rest = |(replica, lease): &(ReplicaId, Option<LeaseId>)| {
        lease.is_some() && world.state().replicas[replica].successor.is_none()
    };
    held.filter(|one| !is_at_rest(one)).count()
}

fn successor(world: &World, workload: WorkloadId) -> Option<LeaseId> {
    let replica = world.held(workload)[0].0;
    world.state().replicas[&replica].successor
}

#[test]
fn the_old_lease_serves_until_its_successor_does_and_then_drains() {
    let (mut world, node, workload, old) = draining(true);
    let next = successor(&world, workload).unwrap();
    assert_eq!(
        (world.only(workload), world.phase(old)),
        (old, Phase::Ready)
    );
    world.wait(secs(20));
    world.see(next, ObservedPhase::Ready);
    assert_eq!(
        (world.only(workload), successor(&world, workload)),
        (next, None)
    );
    assert_eq!(world.phase(old), Phase::Draining(world.now + secs(30)));
    let events = world.tick_after(secs(30));
    assert!(events.iter().any(|event| matches!(
        event,
        Event::LeaseEnded { lease, reason: EndReason::Drained, .. } if *lease == old
    )));
    assert!(world.state().nodes[&node].leases.is_empty());
    assert_eq!(world.only(workload), next);
}

#[test]
fn a_node_lost_while_a_moved_lease_still_drains_there_makes_no_third_lease() {
    let (mut world, node, workload, _) = draining(true);
    let next = successor(&world, workload).unwrap();
    world.see(next, ObservedPhase::Ready);
    let last_seen = world.now;
    world.run(Command::NodeLost { node, last_seen });
    assert_eq!(
        world.state().leases.keys().copied().collect::<Vec<_>>(),
        [next]
    );
}

#[test]
fn a_lost_successor_is_granted_anew_while_the_old_lease_serves() {
    let (mut world, node, workload, old) = draining(true);
    let next = successor(&world, workload).unwrap();
    let (lost, last_seen) = (world.lease(next).node, world.now);
    world.run(Command::NodeLost {
        node: lost,
        last_seen,
    });
    assert_eq!(
        (world.only(workload), successor(&world, workload)),
        (old, None)
    );
    world.connect(lost);
    world.tick_after(secs(10));
    assert!(successor(&world, workload).is_some());
    assert_eq!(world.state().nodes[&node].leases.len(), 1);
}

#[test]
fn a_successor_on_its_way_is_all_that_a_lost_lease_needs() {
    let (mut world, node, workload, _) = draining(true);
    let next = successor(&world, workload).unwrap();
    let last_seen = world.now;
    world.run(Command::NodeLost { node, last_seen });
    assert_eq!(
        (world.only(workload), world.state().leases.len()),
        (next, 1)
    );
}

#[test]
fn without_another_node_the_lease_stays_and_a_successor_is_looked_for() {
    let (mut world, _, workload, old) = draining(false);
    world.tick_after(secs(1));
    assert_eq!(
        (world.only(workload), world.phase(old)),
        (old, Phase::Ready)
    );
    world.node(2, "2.00");
    world.tick_after(secs(9));
    assert!(successor(&world, workload).is_some());
}

#[test]
fn one_late_tick_that_is_to_move_and_to_end_a_lease_does_not_grant_two() {
    let (mut world, _, workload, old) = draining(false);
    world.node(2, "2.00");
    let term = world.state().policy.lease_term;
    world.tick_after(term.saturating_add(Span::HOUR));
    assert!(!world.state().leases.contains_key(&old));
    assert_eq!(world.state().leases.len(), 1);
    assert_eq!(world.state().leases[&world.only(workload)].epoch, 2);
}

#[test]
fn a_job_that_ends_well_before_it_has_moved_does_not_run_again() {
    let mut world = World::new(lax());
    let (_, node) = world.node(1, "1.00");
    world.node(2, "2.00");
    let (_, project) = world.project(1, "1000.00");
    let mut job = terms(1);
    job.kind = remuda_types::WorkloadKind::Job;
    let workload = world.deploy(project, &job, 1);
    world.all_ready(workload);
    let lease = world.only(workload);
    world.run(Command::DrainNode { node });
    world.see(lease, ObservedPhase::Ended(EndReason::Completed));
    assert!(world.state().leases.is_empty() && world.state().workloads.is_empty());
}

#[test]
fn an_empty_node_that_drained_is_open_when_it_comes_back() {
    let mut world = World::new(lax());
    let (_, node) = world.node(1, "1.00");
    world.run(Command::DrainNode { node });
    world.connect(node);
    assert!(matches!(world.presence(node), Presence::Draining(_)));
    world.run(Command::NodeDisconnected { node });
    world.connect(node);
    assert!(matches!(world.presence(node), Presence::Up(_)));
}

#[test]
fn a_node_that_drained_is_open_when_that_is_undone() {
    let (mut world, node, workload, old) = draining(true);
    let next = successor(&world, workload).unwrap();
    world.run(Command::ResumeNode { node });
    assert!(matches!(world.presence(node), Presence::Up(_)));
    assert_eq!(world.state().nodes[&node].drain_tried, None);
    // What moved goes on moving.
    world.see(next, ObservedPhase::Ready);
    world.tick_after(secs(30));
    assert_eq!(world.only(workload), next);
    assert!(!world.state().leases.contains_key(&old));
    // Nothing is to be undone any more.
    assert_eq!(world.run(Command::ResumeNode { node }), []);
}

#[test]
fn who_leaves_does_not_resume() {
    let mut world = World::new(lax());
    let (provider, node) = world.node(1, "1.00");
    world.run(Command::LeaveProvider {
        provider,
        manner: LeaveManner::Notice,
    });
    let refused = world.refused(Command::ResumeNode { node });
    assert!(refused.contains("has given notice"), "{refused}");
}

#[test]
fn the_longer_a_node_drains_in_vain_the_less_often_it_is_tried() {
    let (mut world, node, _, _) = draining(false);
    let begun = world.now;
    let tried = |world: &mut World, within: u64| {
        let steps = (0..within).map(|_| world.tick_after(secs(1)));
        let events: Vec<_> = steps.flatten().collect();
        let tries = events.iter();
        tries
            .filter(|event| matches!(event, Event::DrainTried { .. }))
            .count()
    };
    assert_eq!(tried(&mut world, 40), 4, "first every ten seconds");
    let in_an_hour = tried(&mut world, 3_600);
    assert!((58..90).contains(&in_an_hour), "{in_an_hour}");
    // Since when it drains is not forgotten.
    assert_eq!(world.presence(node), Presence::Draining(begun));
}

#[test]
fn what_drains_on_a_node_that_falls_silent_ends_with_its_last_sign_of_life() {
    let (mut world, node, workload, old) = draining(true);
    let next = successor(&world, workload).unwrap();
    world.wait(secs(20));
    world.see(next, ObservedPhase::Ready);
    assert!(matches!(world.phase(old), Phase::Draining(_)));
    let ready = world.lease(old).meter.ready;
    let last_seen = world.now + secs(4);
    world.wait(secs(10));
    world.run(Command::NodeSuspected { node, last_seen });
    assert!(matches!(world.phase(old), Phase::Draining(_)));
    let events = world.tick_after(secs(30));
    let charged = events.iter().find_map(|event| match event {
        Event::LeaseSettled { lease, meter, .. } if *lease == old => Some(meter.ready),
        _ => None,
    });
    assert_eq!(charged, Some(ready.saturating_add(secs(4))));
    assert!(!world.state().leases.contains_key(&old));
    assert_eq!(world.only(workload), next);
}

#[test]
fn a_node_drains_for_its_daemon_until_another_serves() {
    let (mut world, node, workload, _) = draining(false);
    world.run(Command::ResumeNode { node });
    world.run(Command::NodeLeaving { node });
    assert!(matches!(world.presence(node), Presence::Draining(_)));
    world.run(Command::NodeReturned { node });
    assert!(matches!(world.presence(node), Presence::Up(_)));
    assert_eq!(waiting_or_moving(&world, workload), 0);
    // What is to drain for another reason goes on, whichever came first.
    world.run(Command::NodeLeaving { node });
    world.run(Command::DrainNode { node });
    assert_eq!(world.run(Command::NodeReturned { node }), []);
    world.run(Command::ResumeNode { node });
    world.run(Command::DrainNode { node });
    assert_eq!(world.run(Command::NodeLeaving { node }), []);
    assert_eq!(world.run(Command::NodeReturned { node }), []);
    assert!(matches!(world.presence(node), Presence::Draining(_)));
}

#[test]
fn a_daemon_is_back_before_its_provider_leaves() {
    let mut world = World::new(lax());
    let (provider, node) = world.node(1, "1.00");
    world.run(Command::NodeLeaving { node });
    let manner = LeaveManner::Notice;
    world.run(Command::LeaveProvider { provider, manner });
    assert_eq!(world.run(Command::NodeReturned { node }), []);
    assert!(matches!(world.presence(node), Presence::Draining(_)));
}

#[test]
fn what_is_not_there_is_not_drained() {
    let mut world = World::new(lax());
    let (_, node) = world.node(1, "1.00");
    let last_seen = world.now;
    world.run(Command::NodeLost { node, last_seen });
    let refused = world.refused(Command::DrainNode { node });
    assert!(refused.starts_with("the node is lost"), "{refused}");
}

#[test]
fn what_was_stopped_finishes_on_a_node_that_was_silent_for_a_moment() {
    let mut world = World::new(lax());
    let (_, node) = world.node(1, "1.00");
    let (_, project) = world.project(1, "1000.00");
    let workload = world.deploy(project, &terms(1), 1);
    world.all_ready(workload);
    let lease = world.only(workload);
    world.run(Command::StopWorkload { workload });
    let last_seen = world.now;
    world.wait(secs(3));
    let ready = world.lease(lease).meter.ready;
    world.run(Command::NodeSuspected { node, last_seen });
    world.run(Command::NodeCleared { node });
    assert!(matches!(world.phase(lease), Phase::Draining(_)));
    let meter = world.lease(lease).meter;
    assert_eq!((meter.ready, meter.silent), (ready, secs(3)));
}

#[test]
fn a_silent_node_that_need_not_drain_any_more_is_under_suspicion() {
    let (mut world, node, workload, lease) = draining(false);
    let last_seen = world.now;
    world.wait(secs(3));
    world.run(Command::NodeSuspected { node, last_seen });
    assert_eq!(world.run(Command::NodeSuspected { node, last_seen }), []);
    world.run(Command::ResumeNode { node });
    assert_eq!(world.presence(node), Presence::Suspect(last_seen));
    world.run(Command::NodeCleared { node });
    assert!(matches!(world.presence(node), Presence::Up(_)));
    assert_eq!(world.phase(lease), Phase::Ready);
    // And the other way round.
    let last_seen = world.now;
    world.run(Command::NodeSuspected { node, last_seen });
    world.run(Command::DrainNode { node });
    assert_eq!(world.state().nodes[&node].last_seen(), Some(last_seen));
    world.run(Command::NodeCleared { node });
    assert_eq!(world.state().nodes[&node].last_seen(), None);
    assert_eq!(world.only(workload), lease);
}

#[test]
fn replicas_that_were_under_suspicion_when_the_node_began_to_drain_are_cleared() {
    let mut world = World::new(lax());
    let (_, node) = world.node(1, "1.00");
    let (_, project) = world.project(1, "1000.00");
    let workload = world.deploy(project, &terms(1), 1);
    world.all_ready(workload);
    let last_seen = world.now;
    world.run(Command::NodeSuspected { node, last_seen });
    world.run(Command::DrainNode { node });
    world.run(Command::NodeCleared { node });
    assert_eq!(world.phase(world.only(workload)), Phase::Ready);
    assert!(matches!(world.presence(node), Presence::Draining(_)));
}

#[test]
fn a_draining_node_that_falls_silent_is_not_paid_for_its_silence() {
    let (mut world, node, _, lease) = draining(false);
    let last_seen = world.now;
    world.wait(secs(3));
    world.run(Command::NodeSuspected { node, last_seen });
    assert_eq!(world.phase(lease), Phase::Suspect);
    assert!(matches!(world.presence(node), Presence::Draining(_)));
    world.run(Command::NodeCleared { node });
    world.see(lease, ObservedPhase::Ready);
    let meter = world.state().leases[&lease].meter;
    assert_eq!(meter.suspect, secs(3));
}
