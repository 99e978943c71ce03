//! What is set aside of nodes, and refusals that see some nodes as another fleet does.

use proptest::collection::btree_set;
use proptest::prelude::*;
use remuda_placement::{
    Amounts, Fleet, GpuSet, HoldError, NodeOffer, OfferError, RemoveError, Replicas, explain_group,
    find, find_group, invariant, place, place_group,
};
use remuda_types::{Capacity, Price, Shape};

use crate::world::{class, country, fleets, key, place_east, provider, requests, shapes, site};

/// The fleet with only these nodes, or only the others, as they are.
fn only(fleet: &Fleet, wanted: impl Fn(u8) -> bool) -> Fleet {
    let mut some = Fleet::new();
    for node in (0_u8..6).filter(|node| wanted(*node)).map(key) {
        let Some(offer) = fleet.offer(node) else {
            continue;
        };
        some.upsert(&offer).unwrap();
        some.set_open(node, fleet.is_open(node).unwrap()).unwrap();
        for (shape, gpus) in fleet.holds(node) {
            some.hold_on(node, &shape, gpus).unwrap();
        }
    }
    some
}

proptest! {
    /// What is set aside is as good as held, and what is held is still known.
    #[test]
    fn set_aside_is_as_good_as_held(fleet in fleets(), node in 0_u8..6, shape in shapes(), request in requests()) {
        let node = key(node);
        let (mut held, mut aside) = (fleet.clone(), fleet.clone());
        let room = fleet.room_for(node, &shape);
        let taken = held.hold(node, &shape);
        prop_assert_eq!(room, taken.as_ref().ok().copied());
        let Ok(gpus) = taken else { return Ok(()) };
        let amounts = Amounts::of(&[(shape, gpus)]);
        aside.set_aside(node, amounts.clone()).unwrap();
        prop_assert_eq!(aside.free(node), held.free(node));
        prop_assert_eq!(invariant::check(&aside), Ok(()));
        prop_assert_eq!(place(&mut aside, &request), place(&mut held, &request));
        prop_assert!(aside.holds(node).eq(fleet.holds(node)));
        let removed = aside.remove(node);
        let is_held = matches!(removed, Err(RemoveError::StillHeld { .. }));
        prop_assert!(is_held);

        // Set aside anew, it is not set aside twice; a change of the offer leaves it.
        aside.set_aside(node, amounts).unwrap();
        aside.upsert(&fleet.offer(node).unwrap()).unwrap();
        prop_assert_eq!(aside.free(node), held.free(node));
        aside.set_aside(node, Amounts::default()).unwrap();
        prop_assert!(aside == fleet);
    }

    /// Some nodes may be looked at elsewhere: the refusal is that of one fleet.
    #[test]
    fn a_refusal_over_two_fleets_is_that_of_one(
        now in fleets(),
        elsewhere in btree_set(0_u8..6, 0..6),
        request in requests(),
        replicas in 1_u32..4,
    ) {
        // Of the nodes elsewhere, the large fleet knows another state.
        let mut stale = now.clone();
        for node in &elsewhere {
            let whole = Shape { cpu_milli: 1_000, ..Shape::default() };
            let _fits = stale.hold(key(*node), &whole).is_ok();
        }
        let instead = only(&now, |node| elsewhere.contains(&node));
        let mut one = now.clone();
        let group = Replicas::new(replicas).unwrap();
        let of_two = explain_group((&stale, &instead), &request, group);
        let of_one = explain_group((&now, &Fleet::new()), &request, group);
        prop_assert_eq!(of_two, of_one);
        let found = find_group(&mut one, &request, group);
        prop_assert_eq!(found.ok().flatten(), place_group(&mut one, &request, group).ok());
    }
}

#[test]
fn more_than_is_free_is_not_set_aside() {
    let mut fleet = Fleet::new();
    let all = (
        Shape {
            gpu_milli: 1_000,
            ..Shape::default()
        },
        GpuSet::from_bits(1),
    );
    let unknown = fleet.set_aside(key(1), Amounts::of(&[all]));
    assert!(matches!(unknown, Err(HoldError::Unknown(_))));
    let mut offer = NodeOffer {
        node: key(1),
        provider: provider(1),
        site: site(1),
        country: country(0),
        place: place_east(0),
        class: class(1),
        capacity: Capacity {
            gpus: 2,
            ..Capacity::default()
        },
        price: Price::default(),
    };
    fleet.upsert(&offer).unwrap();
    let twice = Amounts::of(&[all, all]);
    assert_eq!(
        fleet.set_aside(key(1), twice),
        Err(HoldError::SetAside { node: key(1) })
    );
    let last = (all.0, GpuSet::from_bits(2));
    fleet.set_aside(key(1), Amounts::of(&[last])).unwrap();
    offer.capacity.gpus = 1;
    assert!(matches!(
        fleet.upsert(&offer),
        Err(OfferError::LessThanHeld { .. })
    ));
    let mut wanted = remuda_placement::Request::new(all.0).unwrap();
    assert_eq!(
        find(&mut fleet, &wanted).map(|found| found.gpus.bits()),
        Some(1)
    );
    wanted.avoid.nodes.insert(key(1));
    assert_eq!(find(&mut fleet, &wanted), None);
}
