//! What the fleet keeps and refuses, case by case.

use super::*;
use crate::constraint::Constraint;
use crate::invariant;
use crate::request::RequestError;

const WHOLE: Shape = Shape {
    gpu_milli: 1_000,
    cpu_milli: 4_000,
    memory_mib: 8_192,
    gpu_memory_mib: 0,
    disk_mib: 0,
};
const PART: Shape = Shape {
    gpu_milli: 300,
    cpu_milli: 0,
    memory_mib: 0,
    gpu_memory_mib: 0,
    disk_mib: 0,
};

fn key(node: u8) -> NodeKey {
    NodeKey([node; 32])
}

fn offer(node: u8, provider: u128, site: u128) -> NodeOffer {
    NodeOffer {
        node: key(node),
        provider: ProviderId::from_u128(provider),
        site: SiteId::from_u128(site),
        country: "KR".parse().unwrap(),
        place: Place::from_degrees(37.5, 127.0).unwrap(),
        class: "rtx4090-24".parse().unwrap(),
        capacity: Capacity {
            gpus: 2,
            gpu_memory_mib: 24_576,
            cpu_milli: 16_000,
            memory_mib: 65_536,
            disk_mib: 0,
        },
        price: Price::from_micros_per_hour(1_000_000),
    }
}

fn fleet_of_one() -> Fleet {
    let mut fleet = Fleet::new();
    fleet.upsert(&offer(1, 1, 1)).unwrap();
    fleet
}

fn gpus(fleet: &Fleet) -> &[u16] {
    fleet.free(key(1)).unwrap().gpus_milli()
}

#[test]
fn a_hold_takes_and_a_release_gives_back() {
    let (mut fleet, empty) = (fleet_of_one(), fleet_of_one());
    assert_eq!(fleet.hold(key(1), &WHOLE), Ok(GpuSet::from_bits(0b01)));
    assert_eq!(fleet.hold(key(1), &PART), Ok(GpuSet::from_bits(0b10)));
    assert_eq!(gpus(&fleet), [0, 700]);
    assert_eq!(fleet.free(key(1)).unwrap().cpu_milli(), 12_000);
    fleet.release(key(1), &PART).unwrap();
    fleet.release(key(1), &WHOLE).unwrap();
    assert_eq!(fleet, empty);
    assert_eq!(
        fleet.release(key(1), &WHOLE),
        Err(ReleaseError::NotHeld { node: key(1) })
    );
}

#[test]
fn what_is_short_is_named_and_nothing_is_taken() {
    let (mut fleet, before) = (fleet_of_one(), fleet_of_one());
    let mut short = |shape: Shape| fleet.hold(key(1), &shape).unwrap_err();
    let no_room = |short| HoldError::NoRoom {
        node: key(1),
        short,
    };
    assert_eq!(
        short(Shape {
            gpu_milli: 3_000,
            ..WHOLE
        }),
        no_room(Constraint::Gpu)
    );
    assert_eq!(
        short(Shape {
            cpu_milli: 16_001,
            ..WHOLE
        }),
        no_room(Constraint::Cpu)
    );
    assert_eq!(
        short(Shape {
            memory_mib: u64::MAX,
            ..WHOLE
        }),
        no_room(Constraint::Memory)
    );
    assert_eq!(
        short(Shape {
            disk_mib: 1,
            ..WHOLE
        }),
        no_room(Constraint::Disk)
    );
    assert_eq!(
        short(Shape::default()),
        HoldError::Shape(RequestError::EmptyShape)
    );
    assert_eq!(
        fleet.hold(key(9), &WHOLE),
        Err(HoldError::Unknown(UnknownNode(key(9))))
    );
    assert_eq!(fleet, before);
}

#[test]
fn named_gpus_must_be_free_there_and_as_many_as_asked() {
    let mut fleet = fleet_of_one();
    let (second, third) = (GpuSet::from_bits(0b10), GpuSet::from_bits(0b100));
    fleet.hold_on(key(1), &WHOLE, second).unwrap();
    assert_eq!(gpus(&fleet), [1_000, 0]);
    let taken = HoldError::NoRoom {
        node: key(1),
        short: Constraint::Gpu,
    };
    assert_eq!(fleet.hold_on(key(1), &PART, second), Err(taken.clone()));
    assert_eq!(fleet.hold_on(key(1), &PART, third), Err(taken));
    let none = GpuSet::default();
    assert_eq!(
        fleet.hold_on(key(1), &PART, none),
        Err(HoldError::GpuCount { named: 0, asked: 1 })
    );
}

#[test]
fn equal_parts_on_two_gpus_are_told_apart_by_the_gpus_named() {
    let mut fleet = fleet_of_one();
    let (first, second) = (GpuSet::from_bits(0b01), GpuSet::from_bits(0b10));
    fleet.hold_on(key(1), &PART, first).unwrap();
    fleet.hold_on(key(1), &PART, second).unwrap();
    fleet.release_on(key(1), &PART, first).unwrap();
    assert_eq!(gpus(&fleet), [1_000, 700]);
    assert_eq!(
        fleet.release_on(key(1), &PART, first),
        Err(ReleaseError::NotHeld { node: key(1) }),
    );
}

#[test]
fn a_release_by_shape_takes_the_youngest() {
    let mut fleet = fleet_of_one();
    let (first, second) = (GpuSet::from_bits(0b01), GpuSet::from_bits(0b10));
    fleet.hold_on(key(1), &PART, first).unwrap();
    fleet.hold_on(key(1), &PART, second).unwrap();
    assert_eq!(fleet.release(key(1), &PART), Ok(second));
    assert_eq!(fleet.release(key(1), &PART), Ok(first));
}

#[test]
fn a_closed_node_still_holds_and_a_new_offer_does_not_open_it() {
    let mut fleet = fleet_of_one();
    fleet.set_open(key(1), false).unwrap();
    fleet.hold(key(1), &WHOLE).unwrap();
    fleet
        .upsert(&NodeOffer {
            price: Price::from_micros_per_hour(5),
            ..offer(1, 1, 1)
        })
        .unwrap();
    assert_eq!(fleet.is_open(key(1)), Some(false));
    assert_eq!(gpus(&fleet), [0, 1_000]);
    assert_eq!(fleet.set_open(key(9), true), Err(UnknownNode(key(9))));
}

#[test]
fn an_offer_may_not_shrink_below_what_is_held() {
    let mut fleet = fleet_of_one();
    fleet
        .hold_on(key(1), &WHOLE, GpuSet::from_bits(0b10))
        .unwrap();
    let before = fleet.clone();
    let mut smaller = offer(1, 1, 2);
    smaller.capacity.gpus = 1;
    assert_eq!(
        fleet.upsert(&smaller),
        Err(OfferError::LessThanHeld {
            node: key(1),
            holds: 1
        })
    );
    let huge = Capacity {
        gpus: u32::MAX,
        ..offer(2, 1, 1).capacity
    };
    let refused = fleet.upsert(&NodeOffer {
        capacity: huge,
        ..offer(2, 1, 1)
    });
    assert_eq!(refused, Err(OfferError::TooManyGpus { gpus: u32::MAX }));
    assert_eq!(fleet, before);
}

#[test]
fn a_node_leaves_once_nothing_is_held_of_it() {
    let mut fleet = fleet_of_one();
    fleet.hold(key(1), &WHOLE).unwrap();
    assert_eq!(
        fleet.remove(key(1)),
        Err(RemoveError::StillHeld {
            node: key(1),
            holds: 1
        })
    );
    fleet.release(key(1), &WHOLE).unwrap();
    assert_eq!(fleet.remove(key(1)), Ok(offer(1, 1, 1)));
    assert_eq!(fleet, Fleet::new());
    assert_eq!(
        fleet.remove(key(1)),
        Err(RemoveError::Unknown(UnknownNode(key(1))))
    );
}

#[test]
fn a_site_has_one_owner() {
    let mut fleet = fleet_of_one();
    let of_another = OfferError::SiteOfAnother {
        site: SiteId::from_u128(1),
        owner: ProviderId::from_u128(1),
    };
    assert_eq!(fleet.upsert(&offer(2, 2, 1)), Err(of_another.clone()));
    fleet.upsert(&offer(2, 1, 1)).unwrap();
    assert_eq!(fleet.upsert(&offer(1, 2, 1)), Err(of_another));
    fleet.remove(key(2)).unwrap();
    fleet.upsert(&offer(1, 2, 1)).unwrap();
    assert_eq!(invariant::check(&fleet), Ok(()));
}

#[test]
fn the_invariant_sees_a_broken_fleet() {
    let mut fleet = fleet_of_one();
    fleet.nodes.get_mut(&key(1)).unwrap().holds.push(Hold {
        ask: Ask::new(PART).unwrap(),
        gpus: GpuSet::from_bits(1),
    });
    assert_eq!(
        invariant::check(&fleet),
        Err(invariant::Violation::Unbalanced { node: key(1) })
    );
    fleet.nodes.get_mut(&key(1)).unwrap().holds[0].gpus = GpuSet::default();
    assert_eq!(
        invariant::check(&fleet),
        Err(invariant::Violation::GpuCount { node: key(1) })
    );

    let mut fleet = fleet_of_one();
    let gone = fleet.release_on(key(1), &PART, GpuSet::from_bits(1));
    assert!(!fleet.follows(&gone));
    assert_eq!(
        invariant::check(&fleet),
        Err(invariant::Violation::OutOfStep { times: 1 })
    );

    let mut fleet = fleet_of_one();
    fleet.stock.forget_sites();
    let site = SiteId::from_u128(1);
    assert_eq!(
        invariant::check(&fleet),
        Err(invariant::Violation::Site { site })
    );
}

#[test]
fn amounts_at_the_edge_add_up() {
    let mut fleet = Fleet::new();
    for node in [1, 2] {
        let mut largest = offer(node, 1, 1);
        largest.capacity = Capacity {
            cpu_milli: u64::MAX,
            memory_mib: u64::MAX,
            ..Capacity::default()
        };
        fleet.upsert(&largest).unwrap();
    }
    let half = Shape {
        cpu_milli: 1 << 63,
        ..Shape::default()
    };
    fleet.hold(key(1), &half).unwrap();
    fleet.hold(key(2), &half).unwrap();
    fleet.release(key(1), &half).unwrap();
    assert_eq!(invariant::check(&fleet), Ok(()));
}

#[test]
fn nothing_is_kept_of_kinds_and_sites_that_are_gone() {
    let mut fleet = fleet_of_one();
    for disk_mib in 1..100 {
        let mut other = offer(2, 1, 7);
        other.capacity.disk_mib = disk_mib;
        fleet.upsert(&other).unwrap();
    }
    fleet.remove(key(2)).unwrap();
    assert_eq!(fleet.stock.cells().count(), 1);
    let pools = &fleet.stock.pools;
    let kinds: usize = pools.iter().map(|pool| pool.kinds().count()).sum();
    assert_eq!((pools.len(), kinds), (2, 1));
    assert_eq!(invariant::check(&fleet), Ok(()));
}
