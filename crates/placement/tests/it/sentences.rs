//! What placement says, word for word.

use std::num::NonZeroU32;

use remuda_placement::{
    Avoid, Fleet, GroupError, Near, NodeOffer, Replicas, Request, RequestError, Spread, Together,
    Unplaced, place, place_group, quote, whys,
};
use remuda_types::{Capacity, Price, Shape};

use crate::world::{class, country, key, place_east, provider, site};

const H100: usize = 1;
const DE: usize = 0;
const KR: usize = 2;

fn offer(node: u8) -> NodeOffer {
    NodeOffer {
        node: key(node),
        provider: provider(node),
        site: site(node),
        country: country(KR),
        place: place_east(0),
        class: class(H100),
        capacity: Capacity {
            gpus: 1,
            gpu_memory_mib: 81_920,
            cpu_milli: 16_000,
            memory_mib: 131_072,
            disk_mib: 1_048_576,
        },
        price: Price::from_micros_per_hour(2_000_000),
    }
}

fn fleet(offers: impl IntoIterator<Item = NodeOffer>) -> Fleet {
    let mut fleet = Fleet::new();
    for offer in offers {
        fleet.upsert(&offer).unwrap();
    }
    fleet
}

fn one_gpu() -> Request {
    let shape = Shape {
        gpu_milli: 1_000,
        gpu_memory_mib: 81_920,
        ..Shape::default()
    };
    Request::new(shape).unwrap()
}

fn dollars(cents: u64) -> Price {
    Price::from_micros_per_hour(cents * 10_000)
}

fn refusal(fleet: &Fleet, request: &Request) -> Unplaced {
    place(&mut fleet.clone(), request).unwrap_err()
}

fn group_refusal(fleet: &mut Fleet, request: &Request, replicas: u32) -> Unplaced {
    match place_group(fleet, request, Replicas::new(replicas).unwrap()) {
        Err(GroupError::Unplaced(unplaced)) => *unplaced,
        other => unreachable!("{other:?}"),
    }
}

/// The refusal and its way out.
fn said(fleet: &Fleet, request: &Request) -> (String, String) {
    both_of(&refusal(fleet, request))
}

fn both_of(unplaced: &Unplaced) -> (String, String) {
    let relaxation = unplaced.relaxation.map(|relaxation| relaxation.to_string());
    (unplaced.to_string(), relaxation.unwrap_or_default())
}

/// The refusal by a fleet of one node, and its way out.
fn said_by_one(node: NodeOffer, request: &Request) -> (String, String) {
    said(&fleet([node]), request)
}

fn both(refusal: &str, relaxation: &str) -> (String, String) {
    (refusal.to_owned(), relaxation.to_owned())
}

#[test]
fn the_sentence_of_the_design() {
    let in_germany = |node| NodeOffer {
        country: country(DE),
        ..offer(node)
    };
    let small = |node| {
        let capacity = Capacity {
            gpu_memory_mib: 40_960,
            ..offer(node).capacity
        };
        NodeOffer {
            capacity,
            ..offer(node)
        }
    };
    let dear = |node, cents| NodeOffer {
        price: dollars(cents),
        ..offer(node)
    };
    let nodes = (0..5)
        .map(in_germany)
        .chain((5..8).map(small))
        .chain([dear(8, 240), dear(9, 230)]);
    let mut request = one_gpu();
    request.countries = vec![country(KR)];
    request.max_price = Some(dollars(210));
    assert_eq!(
        said(&fleet(nodes), &request),
        both(
            "10 nodes: 5 not in KR, 3 under 80 GB, 2 over 2.10 USD/h",
            "try a maximum price of 2.30 USD/h"
        ),
    );
}

#[test]
fn a_network_without_nodes_says_so() {
    assert_eq!(
        said(&Fleet::new(), &one_gpu()),
        both("the network has no nodes", "")
    );
    let group = place_group(&mut Fleet::new(), &one_gpu(), Replicas::new(2).unwrap());
    assert_eq!(group.unwrap_err().to_string(), "the network has no nodes");
}

#[test]
fn a_group_says_how_far_it_came() {
    let mut request = one_gpu();
    request.spread = Spread::ONE_EACH;
    let same_owner = NodeOffer {
        provider: provider(1),
        ..offer(2)
    };
    let full = Capacity {
        gpus: 0,
        ..offer(3).capacity
    };
    let nodes = [
        offer(1),
        same_owner,
        NodeOffer {
            capacity: full,
            ..offer(3)
        },
    ];
    let unplaced = group_refusal(&mut fleet(nodes), &request, 2);
    assert_eq!(
        unplaced.to_string(),
        "placed 1 of 2; for the next: 3 nodes: 1 without 1 GPU free, 2 of an owner that has 1 already",
    );
    let way_out = unplaced.relaxation.unwrap();
    assert_eq!(way_out.to_string(), "try letting an owner have 2 replicas");
}

#[test]
fn sites_are_kept_apart_without_their_owners() {
    let mut request = one_gpu();
    request.spread.per_site = NonZeroU32::new(2);
    let mut four_gpus = offer(1);
    four_gpus.capacity.gpus = 4;
    let unplaced = group_refusal(&mut fleet([four_gpus]), &request, 4);
    assert_eq!(
        both_of(&unplaced),
        both(
            "placed 2 of 4; for the next: 1 node: 1 at a site that has 2 already",
            "try letting a site have 4 replicas"
        ),
    );
}

#[test]
fn replicas_of_earlier_calls_are_counted() {
    let mut request = one_gpu();
    request.spread.per_owner = NonZeroU32::new(3);
    request.siblings.add(provider(1), site(1));
    request.siblings.add(provider(1), site(2));
    let mut four_gpus = offer(1);
    four_gpus.capacity.gpus = 4;
    let mut fleet = fleet([four_gpus]);
    let one = Replicas::new(1).unwrap();
    assert!(place_group(&mut fleet, &request, one).is_ok());
    assert_eq!(
        both_of(&group_refusal(&mut fleet, &request, 2)),
        both(
            "placed 1 of 2; for the next: 1 node: 1 of an owner that has 3 already",
            "try letting an owner have 4 replicas"
        ),
    );
    // A limit that was lowered since is not one that helps.
    request.spread.per_owner = NonZeroU32::new(1);
    assert_eq!(
        said(&fleet, &request),
        both(
            "1 node: 1 of an owner that has 1 already",
            "try letting an owner have 3 replicas"
        ),
    );
}

#[test]
fn a_gang_says_how_much_of_it_one_fabric_takes() {
    let mut request = one_gpu();
    request.together = Together::Fabric;
    let beside = |node| NodeOffer {
        site: site(1),
        provider: provider(1),
        ..offer(node)
    };
    let mut two = fleet([offer(1), offer(2)]);
    assert_eq!(
        both_of(&group_refusal(&mut two, &request, 2)),
        both(
            "placed 1 of 2; for the next: 2 nodes: 1 without 1 GPU free, 1 on another fabric",
            "try letting replicas stand on several fabrics"
        ),
    );
    // A node that is to be avoided has no room for a member.
    request.avoid.nodes = [key(2)].into();
    let mut avoided = fleet([offer(1), beside(2)]);
    assert_eq!(
        both_of(&group_refusal(&mut avoided, &request, 2)),
        both(
            "placed 1 of 2; for the next: 2 nodes: 1 without 1 GPU free, 1 to be avoided",
            "try 1 replica"
        ),
    );
    request.countries = vec![country(DE)];
    assert_eq!(
        both_of(&group_refusal(&mut avoided, &request, 2)),
        both("placed 0 of 2; for the next: 2 nodes: 2 not in DE", ""),
        "in KR there is room for one of them only",
    );
}

#[test]
fn a_gang_cannot_be_spread() {
    let mut request = one_gpu();
    request.together = Together::Fabric;
    request.spread.per_site = NonZeroU32::new(4);
    let refused = place_group(&mut fleet([offer(1)]), &request, Replicas::new(1).unwrap());
    let refused = refused.unwrap_err();
    assert_eq!(refused, GroupError::Request(RequestError::FabricAndSpread));
    assert_eq!(
        refused.to_string(),
        "together is `fabric` and spread is set: one fabric is at one site, so take one of them out"
    );
}

#[test]
fn a_closed_node_has_no_way_out() {
    let mut fleet = fleet([offer(1)]);
    fleet.set_open(key(1), false).unwrap();
    assert_eq!(said(&fleet, &one_gpu()), both("1 node: 1 not open", ""));
}

#[test]
fn what_the_node_is() {
    let mut request = one_gpu();
    request.classes = vec![class(0), class(2)];
    let no_class = both(
        "1 node: 1 not cpu or rtx4090-24",
        "try allowing the class h100-sxm-80",
    );
    assert_eq!(said_by_one(offer(1), &request), no_class);

    let mut request = one_gpu();
    request.countries = vec![country(1), country(DE)];
    let no_country = both("1 node: 1 not in JP or DE", "try allowing KR");
    assert_eq!(said_by_one(offer(1), &request), no_country);

    let mut request = one_gpu();
    request.near = Some(Near {
        place: place_east(10),
        max_distance_km: 1_000,
    });
    let too_far = both("1 node: 1 over 1000 km away", "try allowing 1112 km");
    assert_eq!(said_by_one(offer(1), &request), too_far);

    let mut request = one_gpu();
    request.avoid = Avoid {
        nodes: [key(1)].into(),
        ..Avoid::default()
    };
    let avoided = both("1 node: 1 to be avoided", "");
    assert_eq!(said_by_one(offer(1), &request), avoided);
}

#[test]
fn what_the_node_has() {
    let say = |change: fn(&mut Shape)| {
        let mut shape = *one_gpu().shape();
        change(&mut shape);
        said_by_one(offer(1), &Request::new(shape).unwrap())
    };
    assert_eq!(
        say(|s| s.gpu_milli = 2_000),
        both("1 node: 1 without 2 GPUs free", "try 1 GPU")
    );
    assert_eq!(
        say(|s| s.gpu_memory_mib = 144_384),
        both("1 node: 1 under 141 GB", "try GPUs of 80 GB")
    );
    assert_eq!(
        say(|s| s.cpu_milli = 16_500),
        both("1 node: 1 without 16.5 cores free", "try 16 cores")
    );
    assert_eq!(
        say(|s| s.memory_mib = 262_144),
        both(
            "1 node: 1 without 256 GB of memory free",
            "try 128 GB of memory"
        ),
    );
    assert_eq!(
        say(|s| s.disk_mib = 2_097_152),
        both(
            "1 node: 1 without 2048 GB of disk free",
            "try 1024 GB of disk"
        ),
    );
}

#[test]
fn a_part_of_a_gpu_is_offered_where_no_whole_one_is_free() {
    let mut fleet = fleet([offer(1)]);
    fleet
        .hold(
            key(1),
            &Shape {
                gpu_milli: 600,
                ..Shape::default()
            },
        )
        .unwrap();
    assert_eq!(
        said(&fleet, &one_gpu()),
        both("1 node: 1 without 1 GPU free", "try 0.4 of a GPU"),
    );
    let half = Request::new(Shape {
        gpu_milli: 500,
        ..Shape::default()
    })
    .unwrap();
    assert_eq!(
        said(&fleet, &half),
        both("1 node: 1 without 0.5 of a GPU free", "try 0.4 of a GPU"),
    );
}

#[test]
fn the_smaller_change_is_named() {
    let in_germany = NodeOffer {
        country: country(DE),
        ..offer(1)
    };
    let mut request = one_gpu();
    request.countries = vec![country(KR)];
    request.max_price = Some(dollars(200));
    let a_tenth_dearer = NodeOffer {
        price: dollars(220),
        ..offer(2)
    };
    let way_out = |nodes: [NodeOffer; 2]| said(&fleet(nodes), &request).1;
    assert_eq!(
        way_out([in_germany.clone(), a_tenth_dearer]),
        "try a maximum price of 2.20 USD/h"
    );
    let thrice_as_dear = NodeOffer {
        price: dollars(600),
        ..offer(2)
    };
    assert_eq!(way_out([in_germany, thrice_as_dear]), "try allowing DE");
}

#[test]
fn prices_at_the_edge_do_not_overflow() {
    let dearest = NodeOffer {
        price: Price::from_micros_per_hour(u64::MAX),
        ..offer(1)
    };
    let mut request = one_gpu();
    request.max_price = Some(Price::from_micros_per_hour(0));
    assert_eq!(
        said_by_one(dearest.clone(), &request),
        both(
            "1 node: 1 over 0.00 USD/h",
            "try a maximum price of 18446744073709.551615 USD/h"
        ),
    );
    request.max_price = None;
    let placed = place(&mut fleet([dearest]), &request).unwrap();
    assert_eq!(placed.price.micros_per_hour(), u64::MAX);
}

#[test]
fn a_placement_says_why() {
    let why = |nodes: Vec<NodeOffer>, request: &Request| {
        let mut fleet = fleet(nodes);
        let placed = place(&mut fleet, request).unwrap();
        let said = whys(&fleet, request, Replicas::new(1).unwrap());
        assert_eq!(said[0].0, placed.node);
        (placed.node, said[0].1.to_string())
    };
    let request = one_gpu();
    let dear = NodeOffer {
        price: dollars(250),
        ..offer(1)
    };
    let germany = NodeOffer {
        country: country(DE),
        ..offer(4)
    };
    let mut only_korea = one_gpu();
    only_korea.countries = vec![country(KR)];
    assert_eq!(
        why(vec![dear, offer(2), germany.clone()], &only_korea),
        (
            key(2),
            "cheapest of 2 that fit of 3; next best 2.50 USD/h".to_owned()
        ),
    );
    let fuller = Capacity {
        cpu_milli: 8_000,
        ..offer(3).capacity
    };
    let fuller = NodeOffer {
        capacity: fuller,
        ..offer(3)
    };
    assert_eq!(
        why(vec![offer(2), fuller], &request),
        (
            key(3),
            "cheapest of 2 that fit of 2; next best 2.00 USD/h; packed onto the fullest".to_owned()
        ),
    );
    assert_eq!(
        why(vec![offer(2), offer(3)], &request),
        (
            key(2),
            "cheapest of 2 that fit of 2; next best 2.00 USD/h; as full as another, with the lower key"
                .to_owned(),
        ),
    );
    only_korea.near = Some(Near {
        place: place_east(10),
        max_distance_km: 2_000,
    });
    assert_eq!(
        why(vec![offer(2), germany], &only_korea),
        (
            key(2),
            "the only one that fits of 2; 1112 km away".to_owned()
        ),
    );
}

#[test]
fn a_processor_alone_is_priced_by_its_largest_share() {
    let mut node = NodeOffer {
        class: class(0),
        ..offer(1)
    };
    node.capacity.gpus = 0;
    let shape = Shape {
        cpu_milli: 2_000,
        memory_mib: 65_536,
        ..Shape::default()
    };
    assert_eq!(quote(&node, &shape), dollars(100));
    let placed = place(&mut fleet([node]), &Request::new(shape).unwrap()).unwrap();
    assert!(placed.gpus.is_empty());
    assert_eq!(placed.price, dollars(100));
}

#[test]
fn a_group_shares_a_node_until_it_is_full() {
    let mut four = offer(1);
    four.capacity.gpus = 4;
    let shape = Shape {
        gpu_milli: 2_000,
        ..Shape::default()
    };
    let request = Request::new(shape).unwrap();
    let mut fleet = fleet([four]);
    let placed = place_group(&mut fleet, &request, Replicas::new(2).unwrap()).unwrap();
    let gpus: Vec<Vec<usize>> = placed
        .iter()
        .map(|one| one.gpus.indices().collect())
        .collect();
    assert_eq!(gpus, [[0, 1], [2, 3]]);
    let unplaced = group_refusal(&mut fleet, &request, 3);
    assert_eq!(
        unplaced.to_string(),
        "placed 2 of 3; for the next: 1 node: 1 without 2 GPUs free"
    );
    assert_eq!(unplaced.relaxation.unwrap().to_string(), "try 2 replicas");
}

#[test]
fn what_is_tried_helps_all_of_a_group() {
    let with = |node, change: fn(&mut NodeOffer)| {
        let mut offer = offer(node);
        change(&mut offer);
        offer
    };
    let way_out = |fleet: &mut Fleet, request: &Request, replicas| {
        let unplaced = group_refusal(fleet, request, replicas);
        unplaced.relaxation.unwrap().to_string()
    };
    // The second of two is dearer still than the first.
    let mut dear = fleet([
        with(1, |of| of.price = dollars(300)),
        with(2, |of| of.price = dollars(400)),
    ]);
    let mut request = one_gpu();
    request.max_price = Some(dollars(200));
    assert_eq!(
        way_out(&mut dear, &request, 2),
        "try a maximum price of 4.00 USD/h"
    );
    // One country has room for one, another for both.
    let mut abroad = fleet([
        offer(1),
        with(2, |of| {
            of.country = country(1);
            of.capacity.gpus = 2;
            of.price = dollars(900);
        }),
    ]);
    let mut request = one_gpu();
    request.countries = vec![country(DE)];
    let other = country(1);
    assert_eq!(
        way_out(&mut abroad, &request, 2),
        format!("try allowing {other}")
    );
    // A core and a half would help one of them.
    let cores = |node, cpu_milli| {
        let mut offer = offer(node);
        offer.capacity.cpu_milli = cpu_milli;
        offer
    };
    let mut cores = fleet([cores(1, 2_000), cores(2, 1_500), cores(3, 1_000)]);
    let shape = Shape {
        cpu_milli: 1_900,
        ..Shape::default()
    };
    let request = Request::new(shape).unwrap();
    assert_eq!(way_out(&mut cores, &request, 3), "try 1 core");
    // One owner has all sites, and at each of them there is room for three.
    let site_of = |node| {
        with(node, |of| {
            (of.provider, of.capacity.gpus) = (provider(1), 3);
        })
    };
    let mut owned = fleet([site_of(1), site_of(2)]);
    let mut request = one_gpu();
    request.spread = Spread::ONE_EACH;
    assert_eq!(
        way_out(&mut owned, &request, 2),
        "try letting an owner have 2 replicas"
    );
    assert_eq!(
        way_out(&mut owned, &request, 5),
        "try letting an owner and a site have 5 replicas each"
    );
    request.spread_max = NonZeroU32::new(4);
    assert_eq!(group_refusal(&mut owned, &request, 5).relaxation, None);
}

#[test]
fn the_nearest_is_tried_where_no_distance_was_allowed() {
    // The farther it is, the cheaper.
    let far = |node, degrees: u8| NodeOffer {
        place: place_east(degrees),
        price: Price::from_micros_per_hour(1_000_000 / u64::from(degrees)),
        ..offer(node)
    };
    let fleet = fleet([far(1, 1), far(2, 50)]);
    let mut request = one_gpu();
    request.near = Some(Near {
        place: place_east(0),
        max_distance_km: 0,
    });
    let (_, way_out) = said(&fleet, &request);
    assert_eq!(way_out, "try allowing 112 km");
}
