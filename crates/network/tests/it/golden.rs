//! The encoded form, held fast: journals and snapshots outlive the version that wrote them.
//!
//! When this fails, what is decided or how it is written has changed. To update: look at why,
//! and copy the digests that the failure prints. That is allowed
//! - for `EVENTS`, when `decide` now decides otherwise (another event, another order, another
//!   amount): old journals still mean what they meant;
//! - for `STATE`, when `apply` has learnt new fields, with a new snapshot format in control.
//!
//! It is not allowed once a version is released, whatever the reason, when an old journal would
//! replay to another state or no longer decode: keys of fields and variants are never reused, and
//! the meaning of a recorded event never changes. New meaning is a new event.

use remuda_network::command::{LeaveManner, NewPlan, ObservedPhase};
use remuda_network::placement::{Congestion, Plan, Quota};
use remuda_network::state::{EndReason, KeyOwner, Terms};
use remuda_network::{Command, Outlook, Policy};
use remuda_types::{Digest, NodeKey, ProjectId, Shape, Span, TrancheId};

use crate::world::{GATEWAY, World, label, lax, secs, terms, usd};

const EVENTS: &str = "4c552f5100c3dc0a61e0624480248219af6ab05359494ed66383d8c5724d714a";
const STATE: &str = "d64ad8d374bcebf71e3ddab0110ab3b11ffd0bc316de88d6e5a8205a6c90b6b5";

/// A day in the life: every part of the state has something in it at the end.
fn story() -> World {
    let mut world = World::new(lax());
    let (leaver, first) = world.node(1, "1.00");
    world.bond(leaver, "50.00");
    let (_, second) = world.node(2, "2.00");
    let (_, project) = world.project(1, "100.00");
    world.run(Command::AddModel {
        label: label(9),
        digest: Digest::of(b"weights"),
        bytes: 7,
        replaces: None,
    });
    let key = world.run(World::issue(KeyOwner::Project(project), 1));
    assert_eq!(key.len(), 1);
    let web = world.deploy(project, &terms(1), 2);
    let idle = world.deploy(project, &terms(2), 1);
    world.all_ready(web);
    world.wait(secs(60));
    let tranche = TrancheId::from_u128(1);
    world.run(Command::OpenTranche {
        gateway: GATEWAY,
        tranche,
        project,
        amount: usd("1.00"),
    });
    let lease = world.held(web)[0].1.unwrap();
    world.run(Command::PostUsage {
        gateway: GATEWAY,
        tranche,
        seq: 1,
        totals: vec![World::used(lease, "0.10")],
        rows: Digest::of(b"rows"),
    });
    let last_seen = world.now;
    world.run(Command::NodeSuspected {
        node: second,
        last_seen,
    });
    world.run(Command::NodeCleared { node: second });
    world.run(Command::DrainNode { node: first });
    world.run(Command::Scale {
        workload: web,
        replicas: 1,
    });
    world.see(
        world.only(idle),
        ObservedPhase::Ended(EndReason::OutOfMemory),
    );
    world.tick_after(secs(10));
    let tranche = TrancheId::from_u128(2);
    world.run(Command::OpenTranche {
        gateway: GATEWAY,
        tranche,
        project,
        amount: usd("1.00"),
    });
    planned_and_wanted_later(&mut world, second, project);
    world.run(Command::LeaveProvider {
        provider: leaver,
        manner: LeaveManner::Now,
    });
    let lease = world.held(web)[0].1.unwrap();
    world.run(Command::PostUsage {
        gateway: GATEWAY,
        tranche,
        seq: 1,
        totals: vec![World::used(lease, "0.10")],
        rows: Digest::of(b"more rows"),
    });
    world
}

/// A plan of the network, and what is wanted later.
fn planned_and_wanted_later(world: &mut World, second: NodeKey, project: ProjectId) {
    let outlook = Outlook::of(world.state());
    let expected = outlook.expected.iter().map(|(task, count)| (task, *count));
    let fleet = world.network.index().fleet();
    let packing = Plan::new(fleet, expected, Congestion::new(20, 4_000));
    let quota = Quota {
        class: terms(1).demand_class().unwrap(),
        cell: fleet.cell_of(second).unwrap(),
        gpu_milli: 2_000,
    };
    world.run(Command::AdoptPlan(Box::new(NewPlan {
        number: 1,
        quotas: vec![quota],
        packing,
    })));
    // More than any node has: it stands. And what a node has is kept for later.
    let ordered = Terms {
        shape: Shape {
            gpu_milli: 8_000,
            ..Shape::default()
        },
        ..terms(3)
    };
    world.run(Command::PlaceOrder {
        project,
        terms: Box::new(ordered),
        replicas: 1,
        until: world.now + secs(3_600),
    });
    let later = Terms {
        shape: Shape {
            cpu_milli: 500,
            ..Shape::default()
        },
        ..terms(4)
    };
    world.run(Command::Reserve {
        project,
        terms: Box::new(later),
        replicas: 1,
        from: world.now + secs(3_600),
        to: world.now + secs(7_200),
    });
}

#[test]
fn the_same_commands_give_the_same_bytes() {
    let world = story();
    let told = world.state();
    assert!(!told.providers.is_empty() && !told.models.is_empty() && !told.keys.is_empty());
    assert!(!told.leases.is_empty() && !told.ended_leases.is_empty());
    assert!(!told.tranches.is_empty() && !told.workloads.is_empty());
    assert!(told.plan.is_some() && !told.orders.is_empty());
    assert!(!told.reservations.is_empty() && !told.claims.is_empty());
    assert!(
        told.providers
            .values()
            .any(|provider| !provider.held.is_empty())
    );
    let events = world
        .journal
        .iter()
        .flat_map(|record| record.body.iter().copied());
    let events = Digest::of(&events.collect::<Vec<_>>());
    let state = Digest::of(&minicbor::to_vec(world.state()).unwrap());
    assert_eq!(
        (events.to_string().as_str(), state.to_string().as_str()),
        (EVENTS, STATE)
    );
}

/// A policy that was written before there were plans, standbys and orders asks for none of them.
#[test]
fn an_old_policy_is_read() {
    let bytes = minicbor::to_vec(Policy::default()).unwrap();
    // The first of what is new since is how often plans are made: key 30, 300,000 ms.
    let first = [0x18, 30, 0x1a, 0x00, 0x04, 0x93, 0xe0];
    let at = bytes.windows(first.len()).position(|part| part == first);
    let mut old = bytes[..at.unwrap()].to_vec();
    assert_eq!(old[0], 0xb8, "a map of up to 255 entries");
    old[1] = 27;
    let (read, new) = (minicbor::decode::<Policy>(&old).unwrap(), Policy::default());
    assert_eq!((read.slice, read.post_grace), (new.slice, new.post_grace));
    let off = (read.plan_every, read.order_stands_max, read.repack.every);
    assert_eq!(off, (Span::ZERO, Span::ZERO, Span::ZERO));
    assert_eq!(read.replicas_per_standby, 0);
}
