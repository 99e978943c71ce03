//! Gangs: all of a workload on one fabric, or nothing of it.

use std::collections::BTreeSet;

use remuda_network::command::EnrolNode;
use remuda_network::state::Terms;
use remuda_network::{Command, Event};
use remuda_types::{
    Capacity, NodeKey, ProjectId, ProviderId, Shape, SiteId, Tier, Together, WorkloadId,
};

use crate::world::{World, lax, per_hour, secs, terms};

/// Eight GPUs.
const NODE: Capacity = Capacity {
    gpus: 8,
    gpu_memory_mib: 81_920,
    cpu_milli: 128_000,
    memory_mib: 1 << 20,
    disk_mib: 1 << 20,
};

/// A service of one GPU a replica, all of them together.
fn gang(n: u8) -> Terms {
    Terms {
        shape: Shape {
            gpu_milli: 1_000,
            ..Shape::default()
        },
        together: Together::Fabric,
        ..terms(n)
    }
}

fn key(site: u8, n: u16) -> NodeKey {
    let mut key = [site; 32];
    key[..2].copy_from_slice(&n.to_be_bytes());
    NodeKey(key)
}

/// A provider with one site of so many nodes of eight GPUs.
fn cluster(world: &mut World, n: u8, nodes: u16, price: &str) -> (ProviderId, SiteId) {
    let provider = world.provider(n);
    let site = world.site(provider, n);
    for node in (0..nodes).map(|at| key(n, at)) {
        world.run(Command::EnrolNode(Box::new(EnrolNode {
            node,
            provider,
            site,
            class: "h100-sxm-80".parse().unwrap(),
            capacity: NODE,
            price: per_hour(price),
        })));
        let capacity = NODE;
        world.run(Command::NodeConnected { node, capacity });
    }
    (provider, site)
}

fn deploy(project: ProjectId, terms: &Terms, replicas: u32) -> Command {
    Command::Deploy {
        project,
        terms: Box::new(terms.clone()),
        replicas,
    }
}

fn sites(world: &World, workload: WorkloadId) -> BTreeSet<SiteId> {
    let held = world.held(workload).into_iter();
    held.filter_map(|(_, lease)| lease)
        .map(|lease| world.lease(lease).site)
        .collect()
}

fn waiting(world: &World, workload: WorkloadId) -> usize {
    let held = world.held(workload).into_iter();
    held.filter(|(_, lease)| lease.is_none()).count()
}

fn lose(world: &mut World, node: NodeKey) -> Vec<Event> {
    let last_seen = world.now;
    world.run(Command::NodeLost { node, last_seen })
}

#[test]
fn a_thousand_gpus_are_one_fabric_or_nothing() {
    let mut world = World::new(lax());
    // Cheaper, and together with the other more than enough, but too small.
    cluster(&mut world, 1, 64, "8.00");
    let (_, large) = cluster(&mut world, 2, 128, "16.00");
    let (_, project) = world.project(1, "1000000.00");
    assert_eq!(
        world.refused(deploy(project, &gang(1), 1_025)),
        "no capacity: placed 1024 of 1025; for the next: 192 nodes: 128 without 1 GPU free, \
         64 on another fabric"
    );
    let workload = world.deploy(project, &gang(1), 1_024);
    assert_eq!(sites(&world, workload), BTreeSet::from([large]));
    assert_eq!(waiting(&world, workload), 0);
    // Without the wish they may stand anywhere, so there is room for half as many again.
    let anywhere = Terms {
        together: Together::Anywhere,
        ..gang(2)
    };
    world.deploy(project, &anywhere, 512);
    assert_eq!(world.state().leases.len(), 1_536);
}

#[test]
fn the_largest_gang_is_placed() {
    let mut world = World::new(lax());
    let (_, site) = cluster(&mut world, 1, 16, "1.00");
    let (_, project) = world.project(1, "1000000.00");
    // 8,192 ranks of a core's eighth: as many as one workload may have.
    let ranks = Terms {
        shape: Shape {
            cpu_milli: 125,
            ..Shape::default()
        },
        ..gang(1)
    };
    let workload = world.deploy(project, &ranks, 8_192);
    assert_eq!(world.held(workload).len(), 8_192);
    assert_eq!(sites(&world, workload), BTreeSet::from([site]));
}

#[test]
fn a_rank_that_lost_its_node_stays_with_the_others_or_waits() {
    let mut world = World::new(lax());
    let (_, site) = cluster(&mut world, 1, 3, "8.00");
    cluster(&mut world, 2, 3, "9.00");
    let (_, project) = world.project(1, "100000.00");
    let workload = world.deploy(project, &gang(1), 16);
    world.all_ready(workload);
    let nodes = |world: &World| -> BTreeSet<NodeKey> {
        let held = world.held(workload).into_iter();
        held.filter_map(|(_, lease)| lease)
            .map(|lease| world.lease(lease).node)
            .collect()
    };
    // The third node of the fabric takes them.
    let first = *nodes(&world).first().unwrap();
    lose(&mut world, first);
    assert_eq!(waiting(&world, workload), 0);
    assert_eq!(sites(&world, workload), BTreeSet::from([site]));
    world.all_ready(workload);
    // Now it is full: those that lose their node wait, with a reason, though there is room elsewhere.
    let second = *nodes(&world).first().unwrap();
    lose(&mut world, second);
    world.tick_after(secs(60));
    assert_eq!(waiting(&world, workload), 8);
    assert_eq!(sites(&world, workload), BTreeSet::from([site]));
    let why = world.network.why_waiting(workload).unwrap();
    assert_eq!(
        why.to_string(),
        "placed 8 of 16; for the next: 6 nodes: 2 not open, 1 without 1 GPU free, 3 on another fabric"
    );
    let capacity = NODE;
    world.run(Command::NodeConnected {
        node: second,
        capacity,
    });
    world.tick_after(secs(60));
    assert_eq!(waiting(&world, workload), 0);
    assert_eq!(world.network.why_waiting(workload), None);
}

#[test]
fn a_gang_of_which_nothing_is_left_goes_where_all_of_it_has_room() {
    let mut world = World::new(lax());
    cluster(&mut world, 1, 1, "8.00");
    // Room for half of it only, at a lower price.
    cluster(&mut world, 2, 1, "4.00");
    let (_, project) = world.project(1, "100000.00");
    let half = world.deploy(project, &gang(1), 4);
    let workload = world.deploy(project, &gang(2), 8);
    let (_, other) = cluster(&mut world, 3, 1, "9.00");
    assert_eq!(sites(&world, half).len(), 1);
    lose(&mut world, key(1, 0));
    assert_eq!(waiting(&world, workload), 0);
    assert_eq!(sites(&world, workload), BTreeSet::from([other]));
    // And where there is no such place, nothing of it goes anywhere.
    lose(&mut world, key(3, 0));
    assert_eq!(waiting(&world, workload), 8);
    let why = world.network.why_waiting(workload).unwrap();
    assert_eq!(
        why.to_string(),
        "placed 4 of 8; for the next: 3 nodes: 2 not open, 1 without 1 GPU free"
    );
    let replicas = 9;
    assert_eq!(
        world.refused(Command::Scale { workload, replicas }),
        "no capacity: placed 4 of 9; for the next: 3 nodes: 2 not open, 1 without 1 GPU free"
    );
    // When there is one, all of it goes there at once.
    let (_, last) = cluster(&mut world, 4, 1, "9.00");
    world.tick_after(secs(60));
    assert_eq!(waiting(&world, workload), 0);
    assert_eq!(sites(&world, workload), BTreeSet::from([last]));
}

#[test]
fn spot_gives_way_to_a_gang_where_all_of_it_then_has_room() {
    let mut world = World::new(lax());
    cluster(&mut world, 1, 1, "4.00");
    let (_, large) = cluster(&mut world, 2, 2, "8.00");
    let (_, project) = world.project(1, "100000.00");
    let spot = Terms {
        tier: Tier::Spot,
        together: Together::Anywhere,
        ..gang(1)
    };
    let spots = world.deploy(project, &spot, 20);
    let workload = world.deploy(project, &gang(2), 16);
    assert_eq!(sites(&world, workload), BTreeSet::from([large]));
    assert_eq!(waiting(&world, workload), 0);
    assert_eq!(waiting(&world, spots), 12);
    let refused = world.refused(deploy(project, &gang(3), 9));
    assert_eq!(
        refused,
        "no capacity: placed 8 of 9; for the next: 3 nodes: 3 without 1 GPU free"
    );
}

#[test]
fn more_of_a_gang_join_it_or_are_refused() {
    let mut world = World::new(lax());
    let (_, site) = cluster(&mut world, 1, 1, "4.00");
    cluster(&mut world, 2, 2, "8.00");
    let (_, project) = world.project(1, "100000.00");
    let workload = world.deploy(project, &gang(1), 2);
    let replicas = 8;
    world.run(Command::Scale { workload, replicas });
    assert_eq!(sites(&world, workload), BTreeSet::from([site]));
    let replicas = 9;
    assert_eq!(
        world.refused(Command::Scale { workload, replicas }),
        "no capacity: placed 8 of 9; for the next: 3 nodes: 1 without 1 GPU free, 2 on another fabric"
    );
}

#[test]
fn a_gang_is_reserved_and_ordered_on_one_fabric() {
    let mut world = World::new(lax());
    cluster(&mut world, 1, 1, "4.00");
    cluster(&mut world, 2, 1, "4.00");
    let (_, project) = world.project(1, "100000.00");
    let (from, to) = (world.now + secs(60), world.now + secs(3_600));
    let reserve = |replicas| Command::Reserve {
        project,
        terms: Box::new(gang(1)),
        replicas,
        from,
        to,
    };
    assert_eq!(
        world.refused(reserve(9)),
        "no capacity: placed 8 of 9; for the next: 2 nodes: 1 without 1 GPU free, \
         1 on another fabric"
    );
    let events = world.run(reserve(8));
    let Event::ReservationMade { workload, .. } = events[0] else {
        panic!("{events:?}")
    };
    world.tick_after(secs(60));
    assert_eq!(sites(&world, workload).len(), 1);
    assert_eq!(waiting(&world, workload), 0);

    let order = Command::PlaceOrder {
        project,
        terms: Box::new(gang(2)),
        replicas: 12,
        until: world.now + secs(3_600),
    };
    let events = world.run(order);
    let Event::OrderStands { workload, .. } = events[0] else {
        panic!("{events:?}")
    };
    let why = |world: &World| world.network.why_no_room(&gang(2), 12);
    assert_eq!(
        why(&world).unwrap().to_string(),
        "placed 8 of 12; for the next: 2 nodes: 2 without 1 GPU free"
    );
    let (_, large) = cluster(&mut world, 3, 2, "9.00");
    assert_eq!(why(&world), None);
    for _ in 0..60 {
        world.tick_after(secs(1));
    }
    assert_eq!(sites(&world, workload), BTreeSet::from([large]));
    assert_eq!(world.held(workload).len(), 12);
    assert!(world.state().workloads[&workload].ordered);
}

#[test]
fn one_fabric_and_sites_apart_are_not_asked_together() {
    let mut world = World::new(lax());
    let (_, project) = world.project(1, "1.00");
    let odd = Terms {
        tier: Tier::MultiSite,
        ..gang(1)
    };
    assert_eq!(
        world.refused(deploy(project, &odd, 2)),
        "together is `fabric` and spread is set: one fabric is at one site, so take one of them out"
    );
}

/// Terms that were written before replicas could be asked to stand together.
#[test]
fn old_terms_are_read() {
    let bytes = minicbor::to_vec(terms(1)).unwrap();
    // What is new is the last pair: key 11, the first of the words.
    assert_eq!(&bytes[bytes.len() - 2..], [11, 0]);
    let mut old = bytes[..bytes.len() - 2].to_vec();
    assert_eq!(old[0] >> 5, 5, "a map whose length is in its first byte");
    old[0] -= 1;
    assert_eq!(minicbor::decode::<Terms>(&old).unwrap(), terms(1));
}
