//! Warm standbys of `enterprise`: kept free from all but spot, and called when a node is lost.

use remuda_network::command::LeaveManner;
use remuda_network::state::{Claim, Claimed, EndReason, Terms};
use remuda_network::{Command, Event, Policy};
use remuda_types::{LeaseId, NodeKey, ProjectId, Shape, Tier, WorkloadId};

use crate::world::{World, lax, secs, terms};

fn of(tier: Tier, n: u8) -> Terms {
    Terms { tier, ..terms(n) }
}

/// Both GPUs of a node.
fn whole(tier: Tier, n: u8) -> Terms {
    Terms {
        shape: Shape {
            gpu_milli: 2_000,
            ..terms(n).shape
        },
        ..of(tier, n)
    }
}

fn deploy(project: ProjectId, terms: &Terms, replicas: u32) -> Command {
    Command::Deploy {
        project,
        terms: Box::new(terms.clone()),
        replicas,
    }
}

fn claims(world: &World, workload: WorkloadId) -> Vec<Claim> {
    let claims = world.state().claims.values();
    let claims = claims.filter(|claim| claim.workload == workload);
    claims.cloned().collect()
}

/// Where the only claim of a workload is.
fn place(world: &World, workload: WorkloadId) -> Option<Claimed> {
    match &claims(world, workload)[..] {
        [claim] => claim.place,
        other => panic!("{other:?}"),
    }
}

fn node_of(world: &World, lease: LeaseId) -> NodeKey {
    world.lease(lease).node
}

fn lose(world: &mut World, node: NodeKey) -> Vec<Event> {
    let last_seen = world.now;
    world.run(Command::NodeLost { node, last_seen })
}

#[test]
fn what_is_claimed_is_kept_from_all_but_spot_until_it_is_called() {
    let mut world = World::new(lax());
    for n in 1..=2 {
        world.node(n, "1.00");
    }
    let (_, project) = world.project(1, "100.00");
    let firm = world.deploy(project, &whole(Tier::Enterprise, 1), 1);
    world.all_ready(firm);
    let home = node_of(&world, world.only(firm));
    let kept = place(&world, firm).unwrap();
    assert_ne!(kept.node, home);

    let refused = world.refused(deploy(project, &terms(2), 1));
    assert_eq!(refused, "no capacity: 2 nodes: 2 without 1 GPU free");
    let spots = world.deploy(project, &of(Tier::Spot, 3), 2);
    world.all_ready(spots);
    let refused = world.refused(deploy(project, &of(Tier::Spot, 4), 1));
    assert_eq!(refused, "no capacity: 2 nodes: 2 without 1 GPU free");
    let refused = world.refused(deploy(project, &terms(2), 1));
    assert_eq!(refused, "no capacity: 2 nodes: 2 without 1 GPU free");

    // The network is full, and the replica has a node in the very batch that takes its own.
    let events = lose(&mut world, home);
    let gave_way = events.iter().filter(
        |event| matches!(event, Event::LeaseEnded { reason, .. } if *reason == EndReason::GaveWay),
    );
    assert_eq!(gave_way.count(), 2);
    assert_eq!(node_of(&world, world.only(firm)), kept.node);
    assert_eq!(place(&world, firm), None, "there is nowhere for another");

    // Another is looked for until there is one.
    world.all_ready(firm);
    world.connect(home);
    world.tick_after(secs(3_600));
    assert_eq!(place(&world, firm).map(|place| place.node), Some(home));
}

#[test]
fn standbys_are_as_many_as_the_policy_says() {
    let mut world = World::new(Policy {
        replicas_per_standby: 2,
        ..lax()
    });
    for n in 1..=6 {
        world.node(n, "1.00");
    }
    let (_, project) = world.project(1, "100.00");
    let firm = world.deploy(project, &of(Tier::Enterprise, 1), 3);
    assert_eq!(claims(&world, firm).len(), 2);
    let nodes: std::collections::BTreeSet<_> = claims(&world, firm)
        .iter()
        .filter_map(|claim| Some(claim.place?.node))
        .collect();
    assert_eq!(nodes.len(), 2, "each on another node");
    let scale = |world: &mut World, replicas| {
        let workload = firm;
        world.run(Command::Scale { workload, replicas });
        claims(world, firm).len()
    };
    assert_eq!(scale(&mut world, 5), 3);
    assert_eq!(scale(&mut world, 2), 1);
    for (n, tier) in (2..).zip([Tier::Spot, Tier::Standard, Tier::MultiSite]) {
        world.deploy(project, &of(tier, n), 1);
    }
    assert_eq!(world.state().claims.len(), 1);
    world.run(Command::StopWorkload { workload: firm });
    assert!(world.state().claims.is_empty());
}

#[test]
fn a_standby_stands_with_another_owner_where_there_is_one() {
    let mut world = World::new(lax());
    let (_, project) = world.project(1, "100.00");
    let owner = world.provider(1);
    let site = world.site(owner, 1);
    for n in 1..=2 {
        let node = crate::world::key(n);
        world.run(World::enrol(
            owner,
            site,
            node,
            crate::world::per_hour("1.00"),
        ));
        world.connect(node);
    }
    let firm = world.deploy(project, &whole(Tier::Enterprise, 1), 1);
    let home = node_of(&world, world.only(firm));
    let kept = place(&world, firm).unwrap();
    assert!(kept.provider == owner && kept.node != home);
    world.run(Command::StopWorkload { workload: firm });

    world.tick_after(secs(1));
    let (other, _) = world.node(3, "5.00");
    let firm = world.deploy(project, &whole(Tier::Enterprise, 1), 1);
    let kept = place(&world, firm).unwrap();
    assert_eq!(kept.provider, other, "dearer, and apart");
}

#[test]
fn a_claim_moves_when_its_node_goes() {
    let mut world = World::new(lax());
    let (_, project) = world.project(1, "100.00");
    world.node(1, "1.00");
    let firm = world.deploy(project, &whole(Tier::Enterprise, 1), 1);
    world.all_ready(firm);
    assert_eq!(place(&world, firm), None);
    let (owners, nodes): (Vec<_>, Vec<_>) = (2..=5).map(|n| world.node(n, "2.00")).unzip();
    world.tick_after(secs(60));
    let at = |world: &World| place(world, firm).map(|place| place.node);
    assert_eq!(at(&world), Some(nodes[0]));
    lose(&mut world, nodes[0]);
    assert_eq!(at(&world), Some(nodes[1]));
    world.run(Command::DrainNode { node: nodes[1] });
    assert_eq!(at(&world), Some(nodes[2]));
    world.run(Command::NodeDisconnected { node: nodes[2] });
    assert_eq!(at(&world), Some(nodes[3]));
    world.run(Command::LeaveProvider {
        provider: owners[3],
        manner: LeaveManner::Now,
    });
    assert_eq!(at(&world), None);
    // It is looked for ever more seldom, and found in the end.
    world.connect(nodes[2]);
    world.tick_after(secs(3_600));
    assert_eq!(at(&world), Some(nodes[2]));
}

#[test]
fn without_money_a_standby_is_not_called() {
    let mut world = World::new(lax());
    for n in 1..=2 {
        world.node(n, "1.00");
    }
    let (_, rich) = world.project(1, "100.00");
    // Enough for one lease's slice, and no more than a little of another's.
    let (_, poor) = world.project(2, "24.00");
    let firm = world.deploy(poor, &whole(Tier::Enterprise, 1), 1);
    world.all_ready(firm);
    let spots = world.deploy(rich, &of(Tier::Spot, 3), 2);
    world.all_ready(spots);
    world.wait(secs(86_400 - 30));
    let home = node_of(&world, world.only(firm));
    lose(&mut world, home);
    assert_eq!(world.held(firm)[0].1, None, "its money is spent");
    assert!(place(&world, firm).is_some());
    assert!(world.held(spots).iter().all(|(_, lease)| lease.is_some()));
}

/// Both GPUs of a node are of use: a replica and a standby of another fit on it.
#[test]
fn a_standby_leaves_where_its_replica_comes() {
    let mut world = World::new(lax());
    let (_, project) = world.project(1, "100.00");
    for n in 1..=2 {
        world.node(n, "1.00");
    }
    let firm = world.deploy(project, &of(Tier::Enterprise, 1), 1);
    world.all_ready(firm);
    let home = node_of(&world, world.only(firm));
    let kept = place(&world, firm).unwrap().node;
    assert_ne!(home, kept);
    let (_, third) = world.node(3, "1.00");
    // The fuller of the two others is where the standby is.
    world.run(Command::DrainNode { node: home });
    let replica = &world.state().replicas[&world.held(firm)[0].0];
    assert_eq!(node_of(&world, replica.successor.unwrap()), kept);
    assert_eq!(place(&world, firm).map(|place| place.node), Some(third));
    lose(&mut world, kept);
    let replica = &world.state().replicas[&world.held(firm)[0].0];
    assert!(replica.lease.is_some() || replica.successor.is_some());
}

#[test]
fn a_standby_with_nowhere_else_to_go_waits_for_another_node() {
    let mut world = World::new(lax());
    let (_, project) = world.project(1, "100.00");
    for n in 1..=2 {
        world.node(n, "1.00");
    }
    let firm = world.deploy(project, &of(Tier::Enterprise, 1), 1);
    world.all_ready(firm);
    let home = node_of(&world, world.only(firm));
    world.run(Command::DrainNode { node: home });
    assert_eq!(place(&world, firm), None);
    // What it kept there is free again.
    world.deploy(project, &terms(2), 1);
    let (_, third) = world.node(3, "1.00");
    world.tick_after(secs(60));
    assert_eq!(place(&world, firm).map(|place| place.node), Some(third));
}

#[test]
fn a_standby_leaves_the_owner_to_whom_its_replica_comes() {
    let mut world = World::new(lax());
    let (_, project) = world.project(1, "100.00");
    let (_, first) = world.node(1, "1.00");
    let owner = world.provider(2);
    let site = world.site(owner, 2);
    for n in 2..=3 {
        let (node, price) = (crate::world::key(n), crate::world::per_hour("2.00"));
        world.run(World::enrol(owner, site, node, price));
        world.connect(node);
    }
    let firm = world.deploy(project, &whole(Tier::Enterprise, 1), 1);
    world.all_ready(firm);
    assert_eq!(node_of(&world, world.only(firm)), first);
    assert_eq!(place(&world, firm).unwrap().provider, owner);
    let (other, _) = world.node(4, "5.00");
    world.run(Command::DrainNode { node: first });
    let replica = &world.state().replicas[&world.held(firm)[0].0];
    assert_eq!(world.lease(replica.successor.unwrap()).provider, owner);
    assert_eq!(place(&world, firm).unwrap().provider, other);
}
