//! Moves against brute force, and what holds of all of them.

use std::cmp::Reverse;

use proptest::collection::vec;
use proptest::prelude::*;
use remuda_types::{Shape, SiteId};

use super::*;
use crate::fleet::NodeOffer;
use crate::free::GpuSet;
use crate::invariant;
use crate::search::tests::{key, offers, requests, scan};

/// Replicas that stand somewhere, in groups of two.
#[derive(Debug)]
struct World {
    fleet: Fleet,
    held: Vec<Held<usize, usize>>,
    gpus: Vec<GpuSet>,
}

impl World {
    fn new(offers: &[NodeOffer], wanted: Vec<(u8, u64, Request)>) -> Self {
        let mut world = Self {
            fleet: Fleet::new(),
            held: Vec::new(),
            gpus: Vec::new(),
        };
        for offer in offers {
            let _owner_is_another = world.fleet.upsert(offer).is_err();
        }
        for (node, dollars, request) in wanted {
            let node = key(node);
            let Ok(gpus) = world.fleet.hold(node, request.shape()) else {
                continue;
            };
            let handle = world.held.len();
            world.gpus.push(gpus);
            world.held.push(Held {
                handle,
                group: handle / 2,
                request,
                node,
                price: Price::from_micros_per_hour(dollars * 500_000),
            });
        }
        world
    }

    fn cost(&self) -> u64 {
        self.held.iter().map(|of| of.price.micros_per_hour()).sum()
    }

    fn is_alone(&self, node: NodeKey) -> bool {
        self.held.iter().filter(|of| of.node == node).count() == 1
    }

    /// The move of one replica, worked out from nothing.
    fn move_of(&self, of: &Held<usize, usize>, scales: &Scales) -> Option<(Money, usize, NodeKey)> {
        let mut request = of.request.clone();
        request.avoid.nodes.insert(of.node);
        let to = scan(&self.fleet, &request)?.node;
        let (there, here) = (self.fleet.offer(to)?, self.fleet.offer(of.node)?);
        let price = crate::quote(&there, request.shape());
        if price > of.price || request.shun.contains(&there.site) {
            return None;
        }
        let tidies = self.is_alone(of.node) && self.held.iter().any(|other| other.node == to);
        let worth = |price: Price| price.for_span(scales.horizon).as_micros();
        let emptied = if tidies {
            let whole = scales.emptied.micros_per_hour() * u64::from(here.capacity.gpus);
            worth(Price::from_micros_per_hour(whole))
        } else {
            0
        };
        let gain = Money::from_micros(worth(of.price) - worth(price) + emptied);
        (gain > scales.move_price).then_some((gain, of.handle, to))
    }
}

fn worlds() -> impl Strategy<Value = World> {
    let wanted = vec((0_u8..8, 0_u64..6, requests()), 1..9);
    (vec(offers(), 1..9), wanted).prop_map(|(offers, wanted)| World::new(&offers, wanted))
}

fn scales() -> impl Strategy<Value = Scales> {
    let hours = prop_oneof![Just(1_u64), 0_u64..200];
    (0_usize..5, 0_i64..3_000_000, hours, 0_u64..3).prop_map(|(moves, micros, hours, dimes)| {
        Scales {
            moves,
            move_price: Money::from_micros(micros),
            horizon: Span::from_secs(hours * 3_600),
            emptied: Price::from_micros_per_hour(dimes * 100_000),
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn one_move_is_the_best_that_brute_force_finds(mut world in worlds(), scales in scales()) {
        let scales = Scales { moves: 1, ..scales };
        let all = world.held.iter().filter_map(|of| world.move_of(of, &scales));
        let best = all.max_by_key(|(gain, handle, _)| (*gain, Reverse(*handle)));
        let moves = repack(&mut world.fleet, &world.held, &scales);
        let made = moves.first().map(|made| (made.gain, made.handle, made.to.node));
        prop_assert_eq!(made, best);
    }

    #[test]
    fn moves_gain_cost_nobody_more_and_fit_beside_what_they_leave(
        mut world in worlds(), scales in scales(),
    ) {
        let before = world.fleet.clone();
        let moves = repack(&mut world.fleet, &world.held, &scales);
        prop_assert_eq!(&world.fleet, &before);
        prop_assert_eq!(invariant::check(&world.fleet), Ok(()));
        prop_assert!(moves.len() <= scales.moves);
        let (cost, mut groups) = (world.cost(), BTreeSet::new());
        for made in &moves {
            let of = &world.held[made.handle];
            prop_assert!(made.gain > scales.move_price && made.from == of.node);
            prop_assert!(groups.insert(of.group), "two of one group move at once");
            let (site, request) = (made.to.site, &of.request);
            prop_assert!(!request.avoid.sites.contains(&site) && !request.shun.contains(&site));
            prop_assert!(!request.avoid.nodes.contains(&made.to.node));
            prop_assert!(made.to.node != of.node);
            let held = world.fleet.hold_on(made.to.node, request.shape(), made.to.gpus);
            prop_assert_eq!(held, Ok(()));
        }
        for made in &moves {
            let shape = *world.held[made.handle].request.shape();
            let released = world.fleet.release_on(made.from, &shape, world.gpus[made.handle]);
            prop_assert_eq!(released, Ok(()));
            world.held[made.handle].price = made.to.price;
            world.held[made.handle].node = made.to.node;
        }
        prop_assert!(world.cost() <= cost);
        prop_assert_eq!(invariant::check(&world.fleet), Ok(()));
    }

    #[test]
    fn what_was_moved_stays_when_nothing_else_changes(mut world in worlds(), scales in scales()) {
        // Each round lowers the sum of prices, or empties a node: there is an end.
        for _ in 0..64 {
            let moves = repack(&mut world.fleet, &world.held, &scales);
            if moves.is_empty() {
                return Ok(());
            }
            for made in moves {
                let shape = *world.held[made.handle].request.shape();
                world.fleet.hold_on(made.to.node, &shape, made.to.gpus).unwrap();
                let (from, gpus) = (made.from, world.gpus[made.handle]);
                world.fleet.release_on(from, &shape, gpus).unwrap();
                world.gpus[made.handle] = made.to.gpus;
                let of = &mut world.held[made.handle];
                (of.node, of.price) = (made.to.node, made.to.price);
            }
        }
        prop_assert!(false, "it moves in circles");
    }
}

#[test]
fn a_node_is_emptied_only_if_that_is_worth_the_move() {
    let offer = |node: u8, gpus: u32| {
        let capacity = remuda_types::Capacity {
            gpus,
            cpu_milli: 8_000,
            ..remuda_types::Capacity::default()
        };
        NodeOffer {
            node: key(node),
            provider: remuda_types::ProviderId::from_u128(u128::from(node)),
            site: SiteId::from_u128(u128::from(node)),
            country: "KR".parse().unwrap(),
            place: remuda_types::Place::from_degrees(0.0, 0.0).unwrap(),
            class: remuda_types::Class::CPU,
            capacity,
            price: Price::from_micros_per_hour(u64::from(gpus) * 1_000_000),
        }
    };
    let one_gpu = Request::new(Shape {
        gpu_milli: 1_000,
        ..Shape::default()
    });
    let one_gpu = one_gpu.unwrap();
    let on = |node| (node, 2, one_gpu.clone());
    let offers = [offer(1, 8), offer(2, 8)];
    let mut world = World::new(&offers, vec![on(1), on(2), on(2)]);
    let scales = |emptied| Scales {
        moves: 3,
        move_price: Money::from_micros(50_000),
        horizon: Span::from_secs(3_600),
        emptied: Price::from_micros_per_hour(emptied),
    };
    let mut moves = |emptied| repack(&mut world.fleet, &world.held, &scales(emptied));
    assert_eq!(
        moves(6_000),
        [],
        "eight GPUs for 0.006 USD are less than 0.05"
    );
    let made = moves(10_000);
    let told: Vec<_> = made.iter().map(|made| (made.from, made.to.node)).collect();
    assert_eq!(told, [(key(1), key(2))]);
    assert_eq!(made[0].gain, Money::from_micros(80_000));
}
