//! Small fleets and requests, drawn so that every constraint eliminates now and then.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::subsequence;
use remuda_placement::{
    Avoid, Congestion, Expected, Fleet, Near, NodeOffer, Plan, Request, Siblings, Spread, Together,
};
use remuda_types::{Capacity, Class, Country, NodeKey, Place, Price, ProviderId, Shape, SiteId};

const COUNTRIES: [&str; 3] = ["DE", "JP", "KR"];
const CLASSES: [&str; 3] = ["cpu", "h100-sxm-80", "rtx4090-24"];

pub(crate) fn key(node: u8) -> NodeKey {
    NodeKey([node; 32])
}

pub(crate) fn site(number: u8) -> SiteId {
    SiteId::from_u128(u128::from(number))
}

pub(crate) fn provider(number: u8) -> ProviderId {
    ProviderId::from_u128(u128::from(number))
}

pub(crate) fn country(index: usize) -> Country {
    COUNTRIES[index % COUNTRIES.len()].parse().unwrap()
}

pub(crate) fn class(index: usize) -> Class {
    CLASSES[index % CLASSES.len()].parse().unwrap()
}

pub(crate) fn place_east(degrees: u8) -> Place {
    Place::from_degrees(0.0, f64::from(degrees)).unwrap()
}

fn prices() -> impl Strategy<Value = Price> {
    let micros = prop_oneof![
        8 => (0_u64..5).prop_map(|dollars| dollars * 1_000_000),
        1 => Just(1),
        1 => u64::MAX - 2..=u64::MAX,
    ];
    micros.prop_map(Price::from_micros_per_hour)
}

fn capacities() -> impl Strategy<Value = Capacity> {
    (0_u32..4, 0_u64..3, 0_u64..5, 0_u64..4, 0_u64..3).prop_map(
        |(gpus, vram, cpu, memory, disk)| Capacity {
            gpus,
            gpu_memory_mib: vram * 40_960,
            cpu_milli: cpu * 2_000,
            memory_mib: memory * 4_096,
            disk_mib: disk * 10_240,
        },
    )
}

/// Five sites of three owners: sites 0 and 3 are owner 0's, 1 and 4 owner 1's, 2 owner 2's.
fn offers(node: u8) -> impl Strategy<Value = NodeOffer> {
    (0_u8..5, 0_usize..3, 0_usize..3, capacities(), prices()).prop_map(
        move |(at, in_country, of_class, capacity, price)| NodeOffer {
            node: key(node),
            provider: provider(at % 3),
            site: site(at),
            country: country(in_country),
            place: place_east(at * 10),
            class: class(of_class),
            capacity,
            price,
        },
    )
}

pub(crate) fn shapes() -> impl Strategy<Value = Shape> {
    let gpu_milli = prop_oneof![
        2 => Just(0_u64),
        2 => prop_oneof![Just(300_u64), Just(500), 1..1_000_u64],
        2 => (1..3_u64).prop_map(|gpus| gpus * 1_000),
    ];
    (gpu_milli, 0_u64..3, 1_u64..4, 0_u64..3, 0_u64..2).prop_map(
        |(gpu_milli, vram, cpu, memory, disk)| Shape {
            gpu_milli,
            cpu_milli: cpu * 1_000,
            memory_mib: memory * 2_048,
            gpu_memory_mib: if gpu_milli == 0 { 0 } else { vram * 40_960 },
            disk_mib: disk * 10_240,
        },
    )
}

/// Up to six nodes, some closed, with some holds.
pub(crate) fn fleets() -> impl Strategy<Value = Fleet> {
    let nodes = [0_u8, 1, 2, 3, 4, 5].map(|node| option::weighted(0.8, offers(node)));
    let holds = vec((0_u8..6, shapes()), 0..6);
    (nodes, holds, btree_set(0_u8..6, 0..2)).prop_map(|(nodes, holds, closed)| {
        let mut fleet = Fleet::new();
        for offer in nodes.into_iter().flatten() {
            fleet.upsert(&offer).unwrap();
        }
        for (node, shape) in holds {
            // What does not fit is not held: any mixture is a fleet.
            let _fits = fleet.hold(key(node), &shape).is_ok();
        }
        for node in closed {
            let _known = fleet.set_open(key(node), false).is_ok();
        }
        fleet
    })
}

/// Five large nodes or so, open, at two sites and of two classes, at prices that are not far apart:
/// groups find room in several places.
pub(crate) fn roomy_fleets() -> impl Strategy<Value = Fleet> {
    let offer = |node| {
        let (gpus, cents) = (1_u32..5, 100_u64..200);
        (0_u8..2, 1_usize..3, gpus, cents).prop_map(move |(at, of_class, gpus, cents)| NodeOffer {
            node: key(node),
            provider: provider(at),
            site: site(at),
            country: country(0),
            place: place_east(0),
            class: class(of_class),
            capacity: Capacity {
                gpus,
                gpu_memory_mib: 81_920,
                cpu_milli: 16_000,
                memory_mib: 65_536,
                disk_mib: 40_960,
            },
            price: Price::from_micros_per_hour(cents * 10_000 * u64::from(gpus)),
        })
    };
    let nodes = [0_u8, 1, 2, 3, 4].map(|node| option::weighted(0.9, offer(node)));
    nodes.prop_map(|nodes| {
        let mut fleet = Fleet::new();
        for offer in nodes.into_iter().flatten() {
            fleet.upsert(&offer).unwrap();
        }
        fleet
    })
}

/// Fleets with a plan for what is expected of them; places get dearer as they fill.
pub(crate) fn planned_fleets() -> impl Strategy<Value = Fleet> {
    let expected = vec((shapes(), 1_u64..9), 0..4);
    let fleets = prop_oneof![fleets(), roomy_fleets()];
    (fleets, expected, 0_u32..500).prop_map(|(mut fleet, expected, scale_milli)| {
        let expected = expected.into_iter().map(|(shape, count)| {
            let task = Expected::new(shape, vec![]).unwrap();
            (task, count)
        });
        let expected: Vec<_> = expected.collect();
        let counted = expected.iter().map(|(task, count)| (task, *count));
        let plan = Plan::new(&fleet, counted, Congestion::new(scale_milli, 4_000));
        fleet.set_plan(plan);
        fleet
    })
}

/// Fleets, planned or not, that know of sites that fail together.
pub(crate) fn kin_fleets() -> impl Strategy<Value = Fleet> {
    let pairs = vec((0_u8..5, 0_u8..5), 0..5);
    (planned_fleets(), pairs).prop_map(|(mut fleet, pairs)| {
        for (one, other) in pairs {
            let kin: Vec<_> = fleet.kin_of(site(one)).chain([site(other)]).collect();
            fleet.set_kin(site(one), kin);
        }
        fleet
    })
}

/// Requests for replicas that are to be kept apart.
pub(crate) fn spread_requests() -> impl Strategy<Value = Request> {
    let beside = (spreads(), siblings(), shunned());
    (easy_requests(), beside).prop_map(|(mut request, (spread, siblings, shun))| {
        request.spread = spread;
        request.siblings = siblings;
        request.shun = shun;
        request
    })
}

/// No limits, and low ones: those that are not met say nothing.
fn spreads() -> impl Strategy<Value = Spread> {
    let most = || (0_u32..4).prop_map(NonZeroU32::new);
    let spread = |(per_owner, per_site)| Spread {
        per_owner,
        per_site,
    };
    (most(), most()).prop_map(spread)
}

/// Mostly none; where there are some, an owner may have more than it may take.
fn siblings() -> impl Strategy<Value = Siblings> {
    let some = vec(0_u8..5, 1..4).prop_map(|sites| {
        let mut siblings = Siblings::default();
        for at in sites {
            siblings.add(provider(at % 3), site(at));
        }
        siblings
    });
    prop_oneof![2 => Just(Siblings::default()), 1 => some]
}

fn shunned() -> impl Strategy<Value = BTreeSet<SiteId>> {
    prop_oneof![2 => Just(BTreeSet::new()), 1 => btree_set((0_u8..5).prop_map(site), 0..4)]
}

/// Requests of which most limit little.
pub(crate) fn easy_requests() -> impl Strategy<Value = Request> {
    let most = prop_oneof![3 => Just(None), 1 => (1_u32..3).prop_map(NonZeroU32::new)];
    let plain = (shapes(), most).prop_map(|(shape, per_site)| {
        let mut request = Request::new(shape).unwrap();
        request.spread.per_site = per_site;
        request
    });
    prop_oneof![3 => plain, 1 => requests()]
}

/// Requests for a group on one fabric.
pub(crate) fn fabric_requests() -> impl Strategy<Value = Request> {
    easy_requests().prop_map(|mut request| {
        request.spread = Spread::default();
        request.together = Together::Fabric;
        request
    })
}

fn few<T: Ord + std::fmt::Debug>(
    of: impl Strategy<Value = T>,
) -> impl Strategy<Value = BTreeSet<T>> {
    prop_oneof![3 => Just(0_usize), 1 => Just(1)].prop_flat_map({
        let of = std::rc::Rc::new(of);
        move |size| btree_set(of.clone(), size)
    })
}

fn avoids() -> impl Strategy<Value = Avoid> {
    let nodes = few((0_u8..6).prop_map(key));
    let owners = few((0_u8..3).prop_map(provider));
    let sites = few((0_u8..5).prop_map(site));
    (nodes, owners, sites).prop_map(|(nodes, owners, sites)| Avoid {
        nodes,
        owners,
        sites,
    })
}

pub(crate) fn requests() -> impl Strategy<Value = Request> {
    let near = (0_u8..50, 0_u32..6_000).prop_map(|(degrees, max_distance_km)| Near {
        place: place_east(degrees),
        max_distance_km,
    });
    let lists = (
        prop_oneof![2 => Just(vec![]), 1 => subsequence(vec![0, 1, 2], 1..3)],
        prop_oneof![2 => Just(vec![]), 1 => subsequence(vec![0, 1, 2], 1..3)],
    );
    let limits = (option::weighted(0.4, prices()), option::weighted(0.3, near));
    let apart = (spreads(), siblings(), avoids());
    (shapes(), lists, limits, apart).prop_map(
        |(shape, (classes, countries), (max_price, near), (spread, siblings, avoid))| {
            let mut request = Request::new(shape).unwrap();
            request.classes = classes.into_iter().map(class).collect();
            request.countries = countries.into_iter().map(country).collect();
            request.max_price = max_price;
            request.near = near;
            request.spread = spread;
            request.siblings = siblings;
            request.avoid = avoid;
            request
        },
    )
}
