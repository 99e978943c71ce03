//! No owner and no site has more of a workload than its terms allow: however its replicas came there.

use std::collections::BTreeMap;

use minicbor::{Decoder, Encoder};
use remuda_network::command::{EnrolNode, LeaveManner, ObservedPhase};
use remuda_network::state::{OrderEnd, Terms};
use remuda_network::{Command, Event};
use remuda_types::{
    Capacity, LeaseId, NodeKey, ProjectId, ProviderId, Shape, Share, SiteId, Tier, Together,
    WorkloadId,
};

use crate::world::{World, key, label, lax, per_hour, secs, terms};

/// Four GPUs.
const NODE: Capacity = Capacity {
    gpus: 4,
    gpu_memory_mib: 81_920,
    cpu_milli: 64_000,
    memory_mib: 1 << 20,
    disk_mib: 1 << 20,
};

fn share(percent: u32) -> Option<Share> {
    Share::of_percent(percent).ok()
}

/// A service of one GPU a replica, of which no owner has more than this share.
fn shared(n: u8, percent: u32) -> Terms {
    Terms {
        shape: Shape {
            gpu_milli: 1_000,
            ..Shape::default()
        },
        max_owner_share: share(percent),
        ..terms(n)
    }
}

/// The `at`th node of an owner.
fn node(owner: u8, at: u8) -> NodeKey {
    key(owner * 16 + at)
}

fn enrol(world: &mut World, (provider, site): (ProviderId, SiteId), node: NodeKey, price: &str) {
    world.run(Command::EnrolNode(Box::new(EnrolNode {
        node,
        provider,
        site,
        class: "h100-sxm-80".parse().unwrap(),
        capacity: NODE,
        price: per_hour(price),
    })));
    connect(world, node);
}

fn connect(world: &mut World, node: NodeKey) {
    let capacity = NODE;
    world.run(Command::NodeConnected { node, capacity });
}

/// A provider with so many sites, of one node each. The lower its number the cheaper it is.
fn owner(world: &mut World, n: u8, sites: u8) -> ProviderId {
    owner_at(world, n, sites, &format!("{n}.00"))
}

fn owner_at(world: &mut World, n: u8, sites: u8, price: &str) -> ProviderId {
    let provider = world.provider(n);
    for at in 0..sites {
        let site = world.site(provider, n * 16 + at);
        enrol(world, (provider, site), node(n, at), price);
    }
    provider
}

/// So many owners with two sites each, and a project that can pay for all of it.
fn world(owners: u8) -> (World, ProjectId) {
    let mut world = World::new(lax());
    for n in 1..=owners {
        owner(&mut world, n, 2);
    }
    let (_, project) = world.project(1, "100000.00");
    (world, project)
}

fn deploy(project: ProjectId, terms: &Terms, replicas: u32) -> Command {
    Command::Deploy {
        project,
        terms: Box::new(terms.clone()),
        replicas,
    }
}

/// How many replicas of a workload each owner has, the owner with the lowest number first.
fn of_owners(world: &World, workload: WorkloadId) -> Vec<usize> {
    let mut counts = BTreeMap::new();
    for lease in leases(world, workload) {
        let owner = world.lease(lease).node.0[0] / 16;
        *counts.entry(owner).or_default() += 1;
    }
    counts.into_values().collect()
}

fn leases(world: &World, workload: WorkloadId) -> Vec<LeaseId> {
    let held = world.held(workload).into_iter();
    held.filter_map(|(_, lease)| lease).collect()
}

/// For a minute, in which all that has a lease serves and what has none is looked for.
fn pass(world: &mut World, workload: WorkloadId) {
    for lease in leases(world, workload) {
        world.see(lease, ObservedPhase::Ready);
    }
    world.tick_after(secs(61));
}

fn waiting(world: &World, workload: WorkloadId) -> usize {
    world.held(workload).len() - leases(world, workload).len()
}

fn scale(workload: WorkloadId, replicas: u32) -> Command {
    Command::Scale { workload, replicas }
}

fn lose(world: &mut World, node: NodeKey) -> Vec<Event> {
    let last_seen = world.now;
    world.run(Command::NodeLost { node, last_seen })
}

#[test]
fn an_owner_gets_its_share_and_no_more() {
    let (mut world, project) = world(3);
    let refused = world.refused(deploy(project, &shared(1, 25), 8));
    assert_eq!(
        refused,
        "no capacity: placed 6 of 8; for the next: 6 nodes: 6 of an owner that has 2 already"
    );
    owner(&mut world, 4, 1);
    let workload = world.deploy(project, &shared(1, 25), 8);
    assert_eq!(of_owners(&world, workload), [2, 2, 2, 2]);
    // What is small has one replica with an owner, whatever its share.
    let small = world.deploy(project, &shared(2, 25), 3);
    assert_eq!(of_owners(&world, small), [1, 1, 1]);
    // Without a share all go where it is cheapest.
    let any = Terms {
        max_owner_share: None,
        ..shared(3, 25)
    };
    let any = world.deploy(project, &any, 5);
    assert_eq!(of_owners(&world, any), [5]);
}

#[test]
fn a_site_gets_its_share_whoever_has_it() {
    let (mut world, project) = world(2);
    let terms = Terms {
        max_owner_share: None,
        max_site_share: share(25),
        ..shared(1, 25)
    };
    let workload = world.deploy(project, &terms, 8);
    assert_eq!(of_owners(&world, workload), [4, 4]);
    let mut at = BTreeMap::<_, u32>::new();
    for lease in leases(&world, workload) {
        *at.entry(world.lease(lease).site).or_default() += 1;
    }
    assert!(at.len() == 4 && at.values().all(|replicas| *replicas == 2));
    assert_eq!(
        world.refused(scale(workload, 9)),
        "no capacity: placed 8 of 9; for the next: 4 nodes: 4 at a site that has 2 already"
    );
}

#[test]
fn spot_gives_way_only_where_the_share_allows() {
    let (mut world, project) = world(3);
    let spot = Terms {
        tier: Tier::Spot,
        max_owner_share: None,
        ..shared(1, 50)
    };
    let spots = world.deploy(project, &spot, 24);
    let workload = world.deploy(project, &shared(2, 50), 8);
    assert_eq!(of_owners(&world, workload), [4, 4]);
    assert_eq!(waiting(&world, spots), 8);
    let refused = world.refused(deploy(project, &shared(3, 25), 8));
    assert_eq!(
        refused,
        "no capacity: placed 6 of 8; for the next: 6 nodes: 2 without 1 GPU free, \
         4 of an owner that has 2 already"
    );
}

#[test]
fn with_more_replicas_an_owner_may_have_more_and_with_fewer_fewer() {
    let (mut world, project) = world(4);
    let workload = world.deploy(project, &shared(1, 25), 4);
    assert_eq!(of_owners(&world, workload), [1, 1, 1, 1]);
    world.run(scale(workload, 8));
    assert_eq!(of_owners(&world, workload), [2, 2, 2, 2]);
    assert_eq!(
        world.refused(scale(workload, 9)),
        "no capacity: placed 8 of 9; for the next: 8 nodes: 8 of an owner that has 2 already"
    );
    // Those go that an owner would have too many of, though they are not the youngest.
    world.run(scale(workload, 4));
    assert_eq!(of_owners(&world, workload), [1, 1, 1, 1]);
    world.run(scale(workload, 3));
    assert_eq!(of_owners(&world, workload), [1, 1, 1]);
}

#[test]
fn what_is_above_a_limit_that_shrank_stays_and_gets_no_company() {
    let (mut world, project) = world(3);
    let workload = world.deploy(project, &shared(1, 40), 6);
    assert_eq!(of_owners(&world, workload), [2, 2, 2]);
    world.run(scale(workload, 4));
    world.all_ready(workload);
    // One each is what four may have, and there are three owners.
    let has = of_owners(&world, workload);
    assert_eq!((has.len(), has.iter().max()), (3, Some(&2)));
    let two = has.iter().position(|has| *has == 2).unwrap();
    let two = u8::try_from(two).unwrap() + 1;
    // Where both of them were lost the owner gets one again, on what is left to it.
    lose(&mut world, node(two, 0));
    let why = world.network.why_waiting(workload).unwrap();
    assert_eq!(
        why.to_string(),
        "placed 3 of 4; for the next: 6 nodes: 1 not open, 5 of an owner that has 1 already"
    );
    assert_eq!(of_owners(&world, workload), [1, 1, 1]);
    owner(&mut world, 4, 1);
    pass(&mut world, workload);
    assert_eq!(of_owners(&world, workload), [1, 1, 1, 1]);
}

#[test]
fn who_loses_a_node_gives_none_more_than_its_share() {
    let (mut world, project) = world(4);
    let workload = world.deploy(project, &shared(1, 50), 4);
    assert_eq!(of_owners(&world, workload), [2, 2]);
    world.all_ready(workload);
    // Both of an owner's: one more may not go to the next cheapest.
    for at in 0..2 {
        lose(&mut world, node(1, at));
    }
    assert_eq!(of_owners(&world, workload), [2, 2]);
    assert_eq!(waiting(&world, workload), 0);
    world.all_ready(workload);
    for n in [2, 3] {
        for at in 0..2 {
            lose(&mut world, node(n, at));
        }
    }
    assert_eq!(of_owners(&world, workload), [2]);
    assert_eq!(waiting(&world, workload), 2);
    let why = world.network.why_waiting(workload).unwrap();
    assert_eq!(
        why.to_string(),
        "placed 2 of 4; for the next: 8 nodes: 6 not open, 2 of an owner that has 2 already"
    );
    // Its two nodes have room for all.
    let way_out = why.relaxation.unwrap();
    assert_eq!(way_out.to_string(), "try letting an owner have 4 replicas");
    connect(&mut world, node(2, 0));
    pass(&mut world, workload);
    assert_eq!(of_owners(&world, workload), [2, 2]);
}

#[test]
fn what_moves_is_not_counted_beside_itself() {
    let (mut world, project) = world(2);
    let workload = world.deploy(project, &shared(1, 50), 4);
    world.all_ready(workload);
    assert_eq!(of_owners(&world, workload), [2, 2]);
    // Both have room with their own owner, and with no other.
    let from = world.lease(leases(&world, workload)[0]).node;
    world.run(Command::DrainNode { node: from });
    let successors = world.state().leases.values();
    let successors = successors.filter(|lease| lease.node != from && lease.workload == workload);
    assert_eq!(successors.count(), 4);
    let moving = world.state().replicas.values();
    let moving: Vec<_> = moving.filter_map(|replica| replica.successor).collect();
    assert_eq!(moving.len(), 2);
    for lease in moving {
        world.see(lease, ObservedPhase::Ready);
    }
    assert_eq!(of_owners(&world, workload), [2, 2]);
    assert_eq!(waiting(&world, workload), 0);
}

#[test]
fn who_leaves_has_its_replicas_go_where_there_is_a_share_left() {
    for manner in [LeaveManner::Now, LeaveManner::Notice] {
        let (mut world, project) = world(2);
        let workload = world.deploy(project, &shared(1, 50), 4);
        world.all_ready(workload);
        let dear = owner(&mut world, 5, 1);
        let provider = world.lease(leases(&world, workload)[0]).provider;
        assert_ne!(provider, dear);
        world.run(Command::LeaveProvider { provider, manner });
        let moving = world.state().replicas.values();
        let moving: Vec<_> = moving.filter_map(|replica| replica.successor).collect();
        for lease in moving {
            world.see(lease, ObservedPhase::Ready);
        }
        assert_eq!(of_owners(&world, workload), [2, 2]);
        let held = leases(&world, workload).into_iter();
        assert_eq!(
            held.filter(|id| world.lease(*id).provider == dear).count(),
            2
        );
    }
}

#[test]
fn what_is_reserved_keeps_to_its_shares_until_it_begins_and_then() {
    let (mut world, project) = world(0);
    // A reservation pays no more for another place than for the first.
    for n in 1..=3 {
        owner_at(&mut world, n, 2, "1.00");
    }
    let reserve = |world: &World, terms: Terms, replicas| Command::Reserve {
        project,
        terms: Box::new(terms),
        replicas,
        from: world.now + secs(3_600),
        to: world.now + secs(7_200),
    };
    let refused = world.refused(reserve(&world, shared(1, 25), 8));
    assert_eq!(
        refused,
        "no capacity: placed 6 of 8; for the next: 6 nodes: 6 of an owner that has 2 already"
    );
    let events = world.run(reserve(&world, shared(1, 50), 7));
    let Event::ReservationMade { workload, .. } = events[0] else {
        panic!("{events:?}")
    };
    let places = |world: &World| -> Vec<u8> {
        let claims = world.state().claims.values();
        let places = claims.filter_map(|claim| claim.place);
        let mut owners: Vec<_> = places.map(|place| place.node.0[0] / 16).collect();
        owners.sort_unstable();
        owners
    };
    assert_eq!(places(&world), [1, 1, 1, 2, 2, 2, 3]);
    // Three lose their place at once, and one node has room for all of them: its owner may have two.
    world.run(Command::LeaveProvider {
        provider: world.state().nodes[&node(1, 0)].provider,
        manner: LeaveManner::Now,
    });
    assert_eq!(places(&world), [2, 2, 2, 3, 3, 3]);
    owner_at(&mut world, 4, 1, "1.00");
    world.tick_after(secs(60));
    assert_eq!(places(&world), [2, 2, 2, 3, 3, 3, 4]);
    for at in 0..2 {
        lose(&mut world, node(3, at));
    }
    assert_eq!(places(&world), [2, 2, 2, 4, 4, 4]);
    // It begins with what is left of it, and what has as many as it may gets no more.
    lose(&mut world, node(4, 0));
    world.tick_after(secs(3_600));
    assert_eq!(of_owners(&world, workload), [3]);
    assert_eq!(waiting(&world, workload), 4);
    connect(&mut world, node(3, 0));
    pass(&mut world, workload);
    assert_eq!(of_owners(&world, workload), [3, 3]);
}

#[test]
fn an_order_stands_until_there_are_owners_enough() {
    let (mut world, project) = world(1);
    let events = world.run(Command::PlaceOrder {
        project,
        terms: Box::new(shared(1, 50)),
        replicas: 4,
        until: world.now + secs(3_600),
    });
    let [Event::OrderStands { workload, .. }] = events[..] else {
        panic!("{events:?}")
    };
    let why = world.network.why_no_room(&shared(1, 50), 4).unwrap();
    assert_eq!(
        why.to_string(),
        "placed 2 of 4; for the next: 2 nodes: 2 of an owner that has 2 already"
    );
    owner(&mut world, 2, 1);
    let events: Vec<_> = (0..60).flat_map(|_| world.tick_after(secs(1))).collect();
    let filled = |event: &Event| {
        matches!(
            event,
            Event::OrderEnded {
                end: OrderEnd::Filled,
                ..
            }
        )
    };
    assert!(events.iter().any(filled));
    assert_eq!(of_owners(&world, workload), [2, 2]);
}

#[test]
fn a_standby_stands_where_a_replica_may_and_else_where_it_is_of_some_use() {
    let (mut world, project) = world(2);
    let terms = Terms {
        tier: Tier::Enterprise,
        ..shared(1, 50)
    };
    let workload = world.deploy(project, &terms, 2);
    world.all_ready(workload);
    let places = |world: &World| -> Vec<NodeKey> {
        let claims = world.state().claims.values();
        claims
            .filter_map(|claim| claim.place)
            .map(|place| place.node)
            .collect()
    };
    // Each owner has the one that it may have: a standby with one of them helps that one.
    let [place] = places(&world)[..] else {
        panic!("{:?}", places(&world))
    };
    let homes: Vec<_> = leases(&world, workload);
    let homes: Vec<_> = homes.into_iter().map(|id| world.lease(id).node).collect();
    assert!(!homes.contains(&place));
    let beside = homes.iter().find(|home| home.0[0] / 16 == place.0[0] / 16);
    lose(&mut world, *beside.unwrap());
    assert_eq!(of_owners(&world, workload), [1, 1]);
    assert!(
        leases(&world, workload)
            .into_iter()
            .any(|id| world.lease(id).node == place)
    );
}

#[test]
fn what_serves_from_many_sites_may_have_more_than_one_at_each_but_not_all() {
    let (mut world, project) = world(2);
    let apart = |owner, site| Terms {
        tier: Tier::MultiSite,
        max_owner_share: owner,
        max_site_share: site,
        ..shared(1, 50)
    };
    let refused = world.refused(deploy(project, &apart(share(51), None), 4));
    assert_eq!(
        refused,
        "max_owner_share_pct: 51 %: the tier multi-site is kept by two owners and sites at least: \
         ask for at most 50, or choose another tier"
    );
    let refused = world.refused(deploy(project, &apart(None, share(100)), 4));
    assert!(
        refused.starts_with("max_site_share_pct: 100 %: "),
        "{refused}"
    );
    // Without a share it is one each.
    let refused = world.refused(deploy(project, &apart(None, share(50)), 4));
    assert_eq!(
        refused,
        "no capacity: placed 2 of 4; for the next: 4 nodes: 4 of an owner that has 1 already"
    );
    let workload = world.deploy(project, &apart(share(50), None), 4);
    assert_eq!(of_owners(&world, workload), [2, 2]);
    assert_eq!(
        world.refused(scale(workload, 6)),
        "no capacity: placed 4 of 6; for the next: 4 nodes: 4 at a site that has 1 already"
    );
    // However few are left, they are with both.
    world.run(scale(workload, 2));
    assert_eq!(of_owners(&world, workload), [1, 1]);
}

#[test]
fn what_serves_from_many_sites_has_a_sixth_at_most_with_one_owner() {
    let (mut world, project) = world(11);
    let terms = |n| Terms {
        max_owner_share: None,
        tier: Tier::MultiSite,
        ..shared(n, 1)
    };
    let small = world.deploy(project, &terms(1), 11);
    assert_eq!(of_owners(&world, small), [1; 11]);
    let large = world.deploy(project, &terms(2), 12);
    let of_owners = of_owners(&world, large);
    assert!(of_owners.len() >= 6, "{of_owners:?}");
    assert!(of_owners.iter().all(|has| *has <= 2), "{of_owners:?}");
    assert!(of_owners.contains(&2), "{of_owners:?}");
}

#[test]
fn what_shrank_by_one_still_finds_its_place_again() {
    let (mut world, project) = world(6);
    let of_many = Terms {
        max_owner_share: None,
        tier: Tier::MultiSite,
        ..shared(1, 1)
    };
    let workload = world.deploy(project, &of_many, 12);
    assert_eq!(of_owners(&world, workload), [2; 6]);
    world.run(scale(workload, 11));
    world.all_ready(workload);
    // Of eleven one each is a sixth; every owner that is left has one at least.
    for n in 1..=6 {
        lose(&mut world, node(n, 0));
        assert_eq!(waiting(&world, workload), 0, "{n}");
        assert_eq!(of_owners(&world, workload).iter().max(), Some(&2));
        world.all_ready(workload);
        connect(&mut world, node(n, 0));
    }
}

#[test]
fn one_fabric_and_shares_are_not_asked_together() {
    let (mut world, project) = world(1);
    let gang = Terms {
        together: Together::Fabric,
        ..shared(1, 100)
    };
    assert_eq!(
        world.refused(deploy(project, &gang, 2)),
        "together is `fabric` and spread is set: one fabric is at one site, so take one of them out"
    );
}

/// The map without what stands under these keys.
fn without(keys: [u64; 2], map: &[u8]) -> Vec<u8> {
    let mut decoder = Decoder::new(map);
    let count = decoder.map().unwrap().unwrap();
    let mut kept = Vec::new();
    for _ in 0..count {
        let start = decoder.position();
        let found = decoder.u64().unwrap();
        decoder.skip().unwrap();
        if !keys.contains(&found) {
            kept.push(&map[start..decoder.position()]);
        }
    }
    let mut bytes = Vec::new();
    Encoder::new(&mut bytes).map(kept.len() as u64).unwrap();
    bytes.extend(kept.into_iter().flatten());
    bytes
}

#[test]
fn terms_of_before_there_were_shares_are_read() {
    let terms = Terms {
        max_site_share: share(25),
        label: label(7),
        ..shared(1, 50)
    };
    let bytes = minicbor::to_vec(&terms).unwrap();
    assert_eq!(minicbor::decode::<Terms>(&bytes).unwrap(), terms);
    let old = without([12, 13], &bytes);
    assert!(old.len() < bytes.len());
    let none = Terms {
        max_owner_share: None,
        max_site_share: None,
        ..terms
    };
    assert_eq!(minicbor::decode::<Terms>(&old).unwrap(), none);
    // Who asks for none writes none.
    assert!(minicbor::to_vec(&none).unwrap().len() <= old.len());
}
