//! Nodes that are lost, come back, or come back smaller.

use remuda_network::command::{EnrolNode, ObservedPhase};
use remuda_network::state::{EndReason, Phase, Presence};
use remuda_network::{Command, Event};
use remuda_types::{Capacity, Class, Tier};

use crate::world::{World, capacity, key, lax, per_hour, secs, terms};

#[test]
fn replicas_of_a_lost_node_are_placed_again_in_the_same_batch() {
    let mut world = World::new(lax());
    let (_, first) = world.node(1, "1.00");
    let (_, second) = world.node(2, "2.00");
    let (_, project) = world.project(1, "100.00");
    let workload = world.deploy(project, &terms(1), 2);
    world.all_ready(workload);
    let last_seen = world.now;
    world.wait(secs(3));
    let node = first;
    world.run(Command::NodeLost { node, last_seen });
    assert_eq!(world.state().nodes[&second].leases.len(), 2);
    assert!(world.state().leases.values().all(|lease| lease.epoch == 2));

    // Lost again changes nothing; back, it takes leases but has none.
    assert!(world.run(Command::NodeLost { node, last_seen }).is_empty());
    world.connect(first);
    assert!(matches!(world.presence(first), Presence::Up(_)));
    assert!(world.state().nodes[&first].leases.is_empty());
}

#[test]
fn without_a_node_a_replica_waits_and_takes_the_first_that_comes() {
    let mut world = World::new(lax());
    let (_, node) = world.node(1, "1.00");
    let (_, project) = world.project(1, "100.00");
    let workload = world.deploy(project, &terms(1), 1);
    world.all_ready(workload);
    let last_seen = world.now;
    world.run(Command::NodeLost { node, last_seen });
    assert_eq!(world.held(workload)[0].1, None);
    for wait in [1, 2, 4, 8, 16, 32, 60, 60] {
        assert_eq!(
            world.network.index().next_due(),
            Some(world.now + secs(wait))
        );
        world.tick_after(secs(wait));
    }
    world.connect(node);
    world.tick_after(secs(60));
    world.see(world.only(workload), ObservedPhase::Ready);
}

#[test]
fn multi_site_replicas_stay_apart_when_they_move() {
    let mut world = World::new(lax());
    for n in 1..=3 {
        world.node(n, "1.00");
    }
    let (_, project) = world.project(1, "100.00");
    let mut wanted = terms(1);
    wanted.tier = Tier::MultiSite;
    let workload = world.deploy(project, &wanted, 2);
    let used: Vec<_> = world
        .state()
        .leases
        .values()
        .map(|lease| lease.node)
        .collect();
    let (node, last_seen) = (used[0], world.now);
    world.run(Command::NodeLost { node, last_seen });
    let now: Vec<_> = world
        .state()
        .leases
        .values()
        .map(|lease| lease.node)
        .collect();
    assert_eq!(now.len(), 2);
    assert!(now.contains(&used[1]) && !now.contains(&used[0]));
    assert_eq!(world.held(workload).len(), 2);
}

#[test]
fn a_suspect_node_keeps_its_leases_and_gets_no_new_ones() {
    let mut world = World::new(lax());
    let (_, node) = world.node(1, "1.00");
    let (_, project) = world.project(1, "100.00");
    let workload = world.deploy(project, &terms(1), 1);
    world.all_ready(workload);
    let last_seen = world.now;
    world.run(Command::NodeSuspected { node, last_seen });
    assert_eq!(world.phase(world.only(workload)), Phase::Suspect);
    let text = world.refused(Command::Deploy {
        project,
        terms: Box::new(terms(2)),
        replicas: 1,
    });
    assert_eq!(text, "no capacity: 1 node: 1 not open");
    // What is said meanwhile counts when the node is cleared.
    world.see(world.only(workload), ObservedPhase::Ready);
    assert_eq!(world.phase(world.only(workload)), Phase::Suspect);
    world.connect(node);
    assert_eq!(world.phase(world.only(workload)), Phase::Ready);
}

#[test]
fn a_node_that_comes_back_smaller_keeps_what_still_fits() {
    let mut world = World::new(lax());
    let (_, first) = world.node(1, "1.00");
    let (_, second) = world.node(2, "2.00");
    let (_, project) = world.project(1, "100.00");
    let workload = world.deploy(project, &terms(1), 2);
    world.all_ready(workload);
    world.run(Command::NodeConnected {
        node: first,
        capacity: Capacity {
            gpus: 1,
            ..capacity()
        },
    });
    let gpus = |world: &World, node| -> Vec<u64> {
        let leases = world.state().nodes[&node].leases.iter();
        leases.map(|id| world.lease(*id).gpu_bits).collect()
    };
    assert_eq!(
        (gpus(&world, first), gpus(&world, second)),
        (vec![0b01], vec![0b01])
    );
    let ends = world
        .state()
        .replicas
        .values()
        .filter_map(|replica| replica.last_end);
    assert_eq!(ends.collect::<Vec<_>>(), [EndReason::NodeRestarted]);

    let text = world.refused(Command::NodeConnected {
        node: first,
        capacity: Capacity {
            gpus: 65,
            ..capacity()
        },
    });
    assert_eq!(text, "capacity: gpus is 65: one node has at most 64");
}

#[test]
fn a_node_is_counted_in_steps_and_a_report_of_nearly_the_same_is_no_event() {
    let mut world = World::new(lax());
    let (provider, _) = world.node(1, "1.00");
    let site = world.site(provider, 9);
    let reported = |memory_mib| Capacity {
        memory_mib,
        disk_mib: 3_600_123,
        ..capacity()
    };
    let node = key(9);
    world.run(Command::EnrolNode(Box::new(EnrolNode {
        node,
        provider,
        site,
        class: Class::CPU,
        capacity: reported(64_204),
        price: per_hour("1.00"),
    })));
    let counted = |world: &World| {
        let known = world.state().nodes[&node].capacity;
        (known.memory_mib, known.disk_mib)
    };
    assert_eq!(counted(&world), (63_488, 3_538_944));
    let mut said = |memory_mib| {
        world.run(Command::NodeConnected {
            node,
            capacity: reported(memory_mib),
        })
    };
    let came = said(64_204);
    assert!(matches!(came[..], [Event::NodePresent { .. }]), "{came:?}");
    assert_eq!(said(63_999), []);
    let smaller = said(61_500);
    assert!(
        matches!(smaller[..], [Event::NodeResized { capacity, .. }] if capacity.memory_mib == 61_440),
        "{smaller:?}"
    );
    assert_eq!(counted(&world), (61_440, 3_538_944));
}

#[test]
fn an_end_that_nobody_asked_for_is_no_end_of_the_replica() {
    let mut world = World::new(lax());
    world.node(1, "1.00");
    let (_, project) = world.project(1, "100.00");
    let workload = world.deploy(project, &terms(1), 1);
    world.all_ready(workload);
    let lease = world.only(workload);
    world.see(lease, ObservedPhase::Ended(EndReason::Stopped));
    world.tick_after(secs(1));
    assert_ne!(world.only(workload), lease);
}

#[test]
fn a_node_that_does_not_take_its_lease_loses_it() {
    let mut world = World::new(lax());
    world.node(1, "1.00");
    let (_, second) = world.node(2, "2.00");
    let (_, project) = world.project(1, "100.00");
    let workload = world.deploy(project, &terms(1), 1);
    let given = world.only(workload);
    world.tick_after(secs(59));
    assert_eq!(world.only(workload), given);
    let events = world.tick_after(secs(1));
    assert!(events.iter().any(|event| matches!(
        event,
        Event::LeaseEnded { lease, reason: EndReason::NeverReady, .. } if *lease == given
    )));
    let elsewhere = world.only(workload);
    assert_eq!(world.state().leases[&elsewhere].node, second);
}

#[test]
fn a_replica_that_stays_unready_goes_elsewhere_and_time_before_it_was_ready_does_not_count() {
    let mut world = World::new(lax());
    world.node(1, "1.00");
    let (_, second) = world.node(2, "2.00");
    let (_, project) = world.project(1, "1000.00");
    let workload = world.deploy(project, &terms(1), 1);
    let lease = world.only(workload);
    world.see(lease, ObservedPhase::Starting);
    world.tick_after(secs(3_599));
    world.see(lease, ObservedPhase::Ready);
    // Its program restarts again and again; that does not begin the hour anew.
    world.tick_after(secs(7_200));
    for _ in 0..2 {
        world.see(lease, ObservedPhase::Unhealthy);
        world.see(lease, ObservedPhase::Starting);
        world.tick_after(secs(1_799));
        assert_eq!(world.only(workload), lease);
    }
    world.tick_after(secs(2));
    let elsewhere = world.only(workload);
    assert_eq!(world.state().leases[&elsewhere].node, second);
}
