//! All nodes of a site that drain at once.

use remuda_network::command::{EnrolNode, ObservedPhase};
use remuda_network::state::{Lease, Presence, Terms};
use remuda_network::{Command, Refusal};
use remuda_types::{Capacity, NodeKey, ProviderId, Shape, SiteId, Tier, WorkloadId};

use crate::world::{World, capacity, key, lax, per_hour, secs, terms};

/// A provider's site of so many nodes of two GPUs, the cheapest there are.
fn site(world: &mut World, nodes: u8) -> (ProviderId, SiteId) {
    let provider = world.provider(1);
    let site = world.site(provider, 1);
    for n in 1..=nodes {
        join(world, (provider, site), 10 + n, "1.00");
    }
    (provider, site)
}

fn join(world: &mut World, of: (ProviderId, SiteId), n: u8, price: &str) -> NodeKey {
    world.run(World::enrol(of.0, of.1, key(n), per_hour(price)));
    world.connect(key(n));
    key(n)
}

/// Where the replicas of a workload go.
fn successors(world: &World, workload: WorkloadId) -> Vec<SiteId> {
    let replicas = world.held(workload);
    let next = replicas
        .iter()
        .filter_map(|(id, _)| world.state().replicas[id].successor);
    next.map(|lease| world.lease(lease).site).collect()
}

#[test]
fn no_replica_of_a_site_goes_to_another_of_its_nodes() {
    let mut world = World::new(lax());
    let (provider, site) = site(&mut world, 4);
    // Another site of the same provider does as well as any.
    let other = world.site(provider, 2);
    join(&mut world, (provider, other), 21, "2.00");
    world.node(3, "3.00");
    let (_, project) = world.project(1, "1000.00");
    let workload = world.deploy(project, &terms(1), 4);
    world.all_ready(workload);
    let leases: Vec<_> = world.held(workload);
    assert!(
        leases
            .iter()
            .all(|(_, lease)| world.lease(lease.unwrap()).site == site)
    );

    let events = world.run(Command::DrainSite { site });
    let goes = successors(&world, workload);
    assert_eq!(goes.len(), 4, "{events:?}");
    assert!(!goes.contains(&site) && goes.contains(&other), "{goes:?}");
    for n in 11..=14 {
        assert!(matches!(world.presence(key(n)), Presence::Draining(_)));
    }
    // Nothing stopped: the old ones serve until the new ones do, and then go.
    assert_eq!(world.held(workload), leases);
    let replicas = world.held(workload);
    for (id, _) in &replicas {
        let next = world.state().replicas[id].successor.unwrap();
        world.see(next, ObservedPhase::Ready);
    }
    world.tick_after(secs(30));
    let on_site = |lease: &Lease| lease.site == site;
    assert!(!world.state().leases.values().any(on_site));
    let again = world.run(Command::DrainSite { site });
    assert!(again.is_empty(), "{again:?}");
}

#[test]
fn who_was_about_to_move_to_a_site_that_drains_stays_and_goes_elsewhere() {
    let mut world = World::new(lax());
    let (_, site) = site(&mut world, 1);
    let (_, project) = world.project(1, "1000.00");
    let (_, from) = world.node(2, "0.50");
    let workload = world.deploy(project, &terms(1), 1);
    world.all_ready(workload);
    let lease = world.only(workload);
    assert_eq!(world.lease(lease).node, from);
    world.run(Command::DrainNode { node: from });
    assert_eq!(successors(&world, workload), [site]);
    let events = world.run(Command::DrainSite { site });
    assert!(successors(&world, workload).is_empty(), "{events:?}");
    assert_eq!(world.only(workload), lease, "it serves where it did");
    let (_, other) = world.node(3, "3.00");
    world.tick_after(secs(60));
    let replicas = world.held(workload);
    let next = world.state().replicas[&replicas[0].0].successor.unwrap();
    assert_eq!(world.lease(next).node, other);
}

/// One by one they go round: what this command is for.
#[test]
fn nodes_drained_one_by_one_hand_their_replicas_to_each_other() {
    let mut world = World::new(lax());
    let (_, site) = site(&mut world, 4);
    world.node(3, "3.00");
    let (_, project) = world.project(1, "1000.00");
    let workload = world.deploy(project, &terms(1), 1);
    world.all_ready(workload);
    let node = world.lease(world.only(workload)).node;
    world.run(Command::DrainNode { node });
    assert_eq!(successors(&world, workload), [site]);
}

#[test]
fn what_has_no_room_elsewhere_stays_and_it_is_said_why() {
    let mut world = World::new(lax());
    let (_, site) = site(&mut world, 2);
    world.node(3, "3.00");
    let (_, project) = world.project(1, "1000.00");
    let spot = Terms {
        tier: Tier::Spot,
        ..terms(1)
    };
    let gives_way = world.deploy(project, &spot, 2);
    let promised = world.deploy(project, &terms(2), 2);
    for workload in [gives_way, promised] {
        world.all_ready(workload);
    }
    world.run(Command::DrainSite { site });
    assert_eq!(
        successors(&world, promised).len(),
        2,
        "what is promised goes first"
    );
    assert!(successors(&world, gives_way).is_empty());
    for (_, lease) in world.held(gives_way) {
        let lease = lease.unwrap();
        assert!(world.state().stays(lease, world.lease(lease)));
        let why = world.network.why_staying(lease).unwrap().to_string();
        assert_eq!(why, "3 nodes: 2 not open, 1 without 1 GPU free");
    }
    for (_, lease) in world.held(promised) {
        assert!(
            !world
                .state()
                .stays(lease.unwrap(), world.lease(lease.unwrap()))
        );
    }
    // Room comes free: it is found when the nodes are tried again.
    world.node(4, "4.00");
    let (_, lease) = world.held(gives_way)[0];
    assert_eq!(world.network.why_staying(lease.unwrap()), None);
    world.tick_after(secs(10));
    assert_eq!(successors(&world, gives_way).len(), 2);
}

#[test]
fn standbys_leave_the_site_too() {
    let mut world = World::new(lax());
    let (provider, site) = site(&mut world, 2);
    let other = world.site(provider, 2);
    join(&mut world, (provider, other), 21, "2.00");
    world.node(3, "3.00");
    let (_, project) = world.project(1, "1000.00");
    let wanted = Terms {
        tier: Tier::Enterprise,
        ..terms(1)
    };
    let workload = world.deploy(project, &wanted, 1);
    world.all_ready(workload);
    world.run(Command::DrainSite { site });
    let claims = world.state().claims.values();
    let places: Vec<_> = claims.filter_map(|claim| claim.place).collect();
    assert_eq!(places.len(), 1);
    assert!(places.iter().all(|place| place.site != site), "{places:?}");
    assert!(!successors(&world, workload).contains(&site));
}

#[test]
fn a_site_that_is_not_there_or_has_no_node_is_refused() {
    let mut world = World::new(lax());
    let (provider, _) = site(&mut world, 1);
    let unknown = SiteId::from_u128(7);
    let refused = world.refused(Command::DrainSite { site: unknown });
    assert_eq!(refused, format!("there is no site {unknown}"));
    let empty = world.site(provider, 2);
    let refusal = world.try_run(&Command::DrainSite { site: empty });
    let Err(Refusal::Invalid { field, problem }) = refusal else {
        panic!("{refusal:?}")
    };
    assert_eq!(field, "site");
    assert!(problem.starts_with("it has no node"), "{problem}");
}

#[test]
fn a_lost_node_that_comes_back_after_the_drain_is_no_part_of_it() {
    let mut world = World::new(lax());
    let (_, site) = site(&mut world, 2);
    let last_seen = world.now;
    let node = key(11);
    world.run(Command::NodeLost { node, last_seen });
    world.run(Command::DrainSite { site });
    assert!(matches!(world.presence(key(11)), Presence::Lost(_)));
    world.connect(key(11));
    assert!(matches!(world.presence(key(11)), Presence::Up(_)));
    // To say it once more takes it in.
    world.run(Command::DrainSite { site });
    assert!(matches!(world.presence(key(11)), Presence::Draining(_)));
    let (_, project) = world.project(1, "1000.00");
    let refused = world.refused(Command::Deploy {
        project,
        terms: Box::new(terms(1)),
        replicas: 1,
    });
    assert!(refused.contains("2 not open"), "{refused}");
}

/// Room for 640 replicas of a tenth of a GPU.
fn join_large(world: &mut World, of: (ProviderId, SiteId), n: u8, price: &str) {
    let capacity = Capacity {
        gpus: 64,
        cpu_milli: 64_000,
        memory_mib: 1 << 20,
        ..capacity()
    };
    let Command::EnrolNode(enrol) = World::enrol(of.0, of.1, key(n), per_hour(price)) else {
        unreachable!()
    };
    world.run(Command::EnrolNode(Box::new(EnrolNode {
        capacity,
        ..*enrol
    })));
    let node = key(n);
    world.run(Command::NodeConnected { node, capacity });
}

/// What is more than one batch moves stays until its nodes are tried again; the site is closed to it
/// from the first on.
#[test]
fn a_site_of_very_many_replicas_moves_in_parts() {
    let mut world = World::new(lax());
    let provider = world.provider(1);
    let site = world.site(provider, 1);
    let other = world.site(provider, 2);
    for n in 1..=4 {
        join_large(&mut world, (provider, site), n, "64.00");
        join_large(&mut world, (provider, other), 10 + n, "128.00");
    }
    let (_, project) = world.project(1, "100000.00");
    let tenth = Terms {
        shape: Shape {
            gpu_milli: 100,
            cpu_milli: 10,
            memory_mib: 16,
            ..Shape::default()
        },
        ..terms(1)
    };
    let workload = world.deploy(project, &tenth, 2_100);
    world.run(Command::DrainSite { site });
    assert_eq!(successors(&world, workload), vec![other; 2_000]);
    world.tick_after(secs(10));
    assert_eq!(successors(&world, workload), vec![other; 2_100]);
}
