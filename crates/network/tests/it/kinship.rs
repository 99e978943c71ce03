//! Sites that fail: noticed, learned from, and kept off.

use std::collections::BTreeSet;

use minicbor::{Decoder, Encoder};
use remuda_network::policy::Kin;
use remuda_network::state::Terms;
use remuda_network::{Command, Event, Policy, State};
use remuda_types::{NodeKey, ProjectId, Span, Tier, WorkloadId};

use crate::world::{World, key, lax, per_hour, secs, terms};

fn apart() -> Terms {
    Terms {
        tier: Tier::MultiSite,
        ..terms(1)
    }
}

fn lose(world: &mut World, node: NodeKey) -> Vec<Event> {
    let last_seen = world.now;
    world.run(Command::NodeLost { node, last_seen })
}

fn failures(events: &[Event]) -> usize {
    let failed = |event: &&Event| matches!(event, Event::SiteFailed { .. });
    events.iter().filter(failed).count()
}

/// The sites of these nodes fail together so many times, ten days apart, and come back.
fn fail_together(world: &mut World, nodes: &[u8], times: u32) {
    for _ in 0..times {
        world.wait(Span::from_secs(10 * 86_400));
        for node in nodes {
            assert_eq!(failures(&lose(world, key(*node))), 1);
        }
        for node in nodes {
            world.connect(key(*node));
        }
    }
}

fn nodes_of(world: &World, workload: WorkloadId) -> BTreeSet<NodeKey> {
    let leases = world.held(workload).into_iter().filter_map(|(_, l)| l);
    leases.map(|lease| world.lease(lease).node).collect()
}

fn keys<const N: usize>(nodes: [u8; N]) -> BTreeSet<NodeKey> {
    nodes.map(key).into_iter().collect()
}

/// Sites 1 and 2 are cheap, 3 and 4 dearer.
fn world(policy: Policy) -> (World, ProjectId) {
    let mut world = World::new(policy);
    for (node, price) in [(1, "1.00"), (2, "1.00"), (3, "2.00"), (4, "3.00")] {
        world.node(node, price);
    }
    let (_, project) = world.project(1, "10000.00");
    (world, project)
}

fn deployed(policy: Policy, times: u32) -> BTreeSet<NodeKey> {
    let (mut world, project) = world(policy);
    fail_together(&mut world, &[1, 2], times);
    let workload = world.deploy(project, &apart(), 2);
    nodes_of(&world, workload)
}

#[test]
fn replicas_keep_apart_from_what_failed_together_three_times_and_not_from_what_did_once() {
    assert_eq!(deployed(lax(), 1), keys([1, 2]));
    assert_eq!(deployed(lax(), 3), keys([1, 3]));
    let off = Kin {
        lift_milli: 0,
        ..Kin::default()
    };
    assert_eq!(deployed(Policy { kin: off, ..lax() }, 3), keys([1, 2]));
}

#[test]
fn kin_are_taken_rather_than_none() {
    let (mut world, project) = world(lax());
    fail_together(&mut world, &[1, 2, 3, 4], 3);
    let workload = world.deploy(project, &apart(), 3);
    assert_eq!(nodes_of(&world, workload), keys([1, 2, 3]));
    lose(&mut world, key(1));
    assert_eq!(nodes_of(&world, workload), keys([2, 3, 4]));
}

#[test]
fn one_replica_more_keeps_off_the_kin_of_the_others() {
    let (mut world, project) = world(lax());
    fail_together(&mut world, &[1, 2], 3);
    let workload = world.deploy(project, &apart(), 1);
    assert_eq!(nodes_of(&world, workload), keys([1]));
    world.run(Command::Scale {
        workload,
        replicas: 2,
    });
    assert_eq!(nodes_of(&world, workload), keys([1, 3]));
}

#[test]
fn what_left_a_site_that_fails_does_not_go_where_it_will_fail_next() {
    let (mut world, project) = world(lax());
    fail_together(&mut world, &[1, 2], 3);
    let workload = world.deploy(project, &apart(), 1);
    world.wait(secs(3_600));
    lose(&mut world, key(1));
    assert_eq!(nodes_of(&world, workload), keys([3]));
}

#[test]
fn a_site_fails_once_when_half_of_it_is_lost_within_the_window() {
    let mut world = World::new(lax());
    let provider = world.provider(1);
    let site = world.site(provider, 1);
    let all: Vec<_> = (1..=6).map(key).collect();
    for node in &all {
        world.run(World::enrol(provider, site, *node, per_hour("1.00")));
        world.connect(*node);
    }
    // One that has no session is no part of it.
    world.run(Command::NodeDisconnected { node: all[5] });
    let told = |world: &mut World, node: usize, wait: u64| {
        world.wait(secs(wait));
        failures(&lose(world, all[node]))
    };
    assert_eq!(told(&mut world, 5, 0), 0);
    // What was lost long before does not count.
    assert_eq!(told(&mut world, 0, 0), 0);
    assert_eq!(told(&mut world, 1, 3_600), 0);
    assert_eq!(
        told(&mut world, 2, 60),
        1,
        "two of the four that were there"
    );
    assert_eq!(told(&mut world, 3, 60), 0, "it has failed already");
    assert_eq!(told(&mut world, 4, 3_600), 1, "the last one, long after");
}

#[test]
fn what_was_learned_is_replayed_and_is_in_the_snapshot() {
    let (mut world, _) = world(lax());
    fail_together(&mut world, &[1, 2], 3);
    let replayed = world.replayed();
    assert!(replayed.state() == world.state());
    assert!(replayed.index() == world.network.index());
    let bytes = minicbor::to_vec(world.state()).unwrap();
    let read: State = minicbor::decode(&bytes).unwrap();
    assert!(read == *world.state() && read.kinship.pairs() == 1);
}

#[test]
fn another_rule_is_followed_at_once() {
    let (mut world, project) = world(lax());
    fail_together(&mut world, &[1, 2], 3);
    let kin = Kin {
        lift_milli: u32::MAX,
        ..Kin::default()
    };
    world.run(Command::SetPolicy(Box::new(Policy { kin, ..lax() })));
    let workload = world.deploy(project, &apart(), 2);
    assert_eq!(nodes_of(&world, workload), keys([1, 2]));
}

#[test]
fn rules_that_cannot_be_followed_are_refused() {
    let mut world = World::new(lax());
    let mut said = |kin: Kin| {
        let policy = Policy { kin, ..lax() };
        world.refused(Command::SetPolicy(Box::new(policy)))
    };
    let default = Kin::default();
    let text = said(Kin {
        site_failed_milli: 0,
        ..default
    });
    assert_eq!(
        text,
        "site_failed_milli: 0: 1 to 1000 thousandths of a site's nodes are expected"
    );
    let window = said(Kin {
        window: Span::ZERO,
        ..default
    });
    assert_eq!(window, "kin_window: a time above zero is expected");
    let half_life = said(Kin {
        half_life: Span::ZERO,
        ..default
    });
    assert_eq!(half_life, "kin_half_life: a time above zero is expected");
}

/// The map without what stands under this key.
fn without(key: u64, map: &[u8]) -> Vec<u8> {
    let mut decoder = Decoder::new(map);
    let count = decoder.map().unwrap().unwrap();
    let mut kept = Vec::new();
    for _ in 0..count {
        let start = decoder.position();
        let found = decoder.u64().unwrap();
        decoder.skip().unwrap();
        if found != key {
            kept.push(&map[start..decoder.position()]);
        }
    }
    let mut bytes = Vec::new();
    Encoder::new(&mut bytes).map(kept.len() as u64).unwrap();
    bytes.extend(kept.into_iter().flatten());
    bytes
}

#[test]
fn what_was_written_before_anything_was_learned_is_read() {
    let policy = minicbor::to_vec(lax()).unwrap();
    let old = without(50, &policy);
    assert!(old.len() < policy.len());
    assert_eq!(minicbor::decode::<Policy>(&old).unwrap(), lax());
    let state = State::default();
    let bytes = minicbor::to_vec(&state).unwrap();
    let old = without(30, &bytes);
    assert!(old.len() < bytes.len());
    assert!(minicbor::decode::<State>(&old).unwrap() == state);
}
