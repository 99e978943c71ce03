//! Placement against brute force, and what holds of any fleet.

use std::num::NonZeroU32;

use proptest::prelude::*;
use remuda_placement::{
    Constraint, Fleet, GroupError, Placement, Relaxation, Replicas, Request, Spread, Together,
    Unplaced, explain_group, fabrics_with_room, find, find_group, invariant, place, place_group,
    quote, whys,
};
use remuda_types::{NodeKey, Shape};

use crate::oracle;
use crate::world::{
    easy_requests, fabric_requests, fleets, key, kin_fleets, planned_fleets, requests,
    roomy_fleets, shapes, site, spread_requests,
};

/// Places a group; the fleet must be as it was.
fn group(fleet: &Fleet, request: &Request, replicas: u32) -> Result<Vec<Placement>, Unplaced> {
    let mut tried = fleet.clone();
    let placed = place_group(&mut tried, request, Replicas::new(replicas).unwrap());
    assert_eq!(&tried, fleet);
    assert_eq!(invariant::check(&tried), Ok(()));
    placed.map_err(|error| match error {
        GroupError::Unplaced(unplaced) => *unplaced,
        GroupError::Request(error) => unreachable!("{error}"),
    })
}

/// One member after another, each placed by itself with the earlier ones held.
fn one_by_one(fleet: &Fleet, request: &Request, replicas: u32) -> Vec<NodeKey> {
    let (mut fleet, mut request) = (fleet.clone(), request.clone());
    let next = |_| {
        let placed = find(&mut fleet, &request)?;
        fleet
            .hold_on(placed.node, request.shape(), placed.gpus)
            .unwrap();
        request.siblings.add(placed.provider, placed.site);
        if request.spread != Spread::default() {
            request.shun.extend(fleet.kin_of(placed.site));
        }
        Some(placed.node)
    };
    (0..replicas).map_while(next).collect()
}

fn total(placements: &[Placement]) -> u128 {
    placements
        .iter()
        .map(|placed| u128::from(placed.price.micros_per_hour()))
        .sum()
}

/// The order of preference without a plan, from the public face: price, what is free, key.
fn rank(fleet: &Fleet, request: &Request, node: NodeKey) -> impl Ord + use<> {
    let free = fleet.free(node).unwrap();
    let gpus: u64 = free.gpus_milli().iter().copied().map(u64::from).sum();
    let slack = (gpus, free.cpu_milli(), free.memory_mib(), free.disk_mib());
    let mut each = free.gpus_milli().to_vec();
    each.sort_unstable();
    (
        quote(&oracle::offer(fleet, node), request.shape()),
        slack,
        each,
        node,
    )
}

fn assert_counts(unplaced: &Unplaced, fleet: &Fleet) -> Result<(), TestCaseError> {
    let sum: usize = unplaced.eliminated.iter().map(|(_, count)| count).sum();
    prop_assert_eq!(sum, fleet.len());
    prop_assert_eq!(unplaced.nodes, fleet.len());
    prop_assert!(unplaced.eliminated.is_sorted_by(|a, b| a.0 < b.0));
    prop_assert!(unplaced.eliminated.iter().all(|(_, count)| *count > 0));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn one_replica_goes_to_the_best_node_that_brute_force_finds(fleet in fleets(), request in requests()) {
        let admitted = fleet.offers().filter(|offer| oracle::admits(&fleet, &request, offer));
        let nodes: Vec<NodeKey> = admitted.map(|offer| offer.node).collect();
        let best = nodes.iter().copied().min_by_key(|&node| rank(&fleet, &request, node));
        match place(&mut fleet.clone(), &request) {
            Ok(placed) => {
                let offer = oracle::offer(&fleet, placed.node);
                prop_assert_eq!(Some(placed.node), best);
                prop_assert_eq!((placed.site, placed.provider), (offer.site, offer.provider));
                prop_assert_eq!(placed.price, quote(&offer, request.shape()));
                let whys = whys(&fleet, &request, Replicas::new(1).unwrap());
                let why = whys[0].1;
                prop_assert_eq!(whys[0].0, placed.node);
                prop_assert_eq!((why.fit, why.considered), (nodes.len(), fleet.len()));
                prop_assert_eq!(place(&mut fleet.clone(), &request.clone()), Ok(placed));
            }
            Err(unplaced) => {
                prop_assert_eq!(best, None);
                assert_counts(&unplaced, &fleet)?;
                prop_assert_eq!(place(&mut fleet.clone(), &request), Err(unplaced));
            }
        }
    }

    #[test]
    fn a_group_is_placed_whole_at_the_cost_that_brute_force_finds(
        fleet in fleets(), request in requests(), replicas in 1_u32..4,
    ) {
        match group(&fleet, &request, replicas) {
            Ok(placements) => {
                prop_assert_eq!(placements.len(), usize::try_from(replicas).unwrap());
                let cheapest = oracle::cheapest_group(&fleet, &request, replicas);
                prop_assert_eq!(Some(total(&placements)), cheapest);
                let said = whys(&fleet, &request, Replicas::new(replicas).unwrap());
                let nodes = placements.iter().map(|placed| placed.node);
                prop_assert!(nodes.eq(said.into_iter().map(|(node, _)| node)));
                let (mut holding, mut chosen) = (fleet, Vec::new());
                for placed in placements {
                    let offer = oracle::offer(&holding, placed.node);
                    prop_assert!(oracle::admits(&holding, &request, &offer));
                    prop_assert!(!oracle::clashes(&request, &chosen, &offer));
                    prop_assert_eq!(holding.hold_on(placed.node, request.shape(), placed.gpus), Ok(()));
                    chosen.push(offer);
                }
                prop_assert_eq!(invariant::check(&holding), Ok(()));
            }
            Err(unplaced) => {
                assert_counts(&unplaced, &fleet)?;
                prop_assert_eq!(unplaced.replicas, replicas);
                prop_assert_eq!(oracle::cheapest_group(&fleet, &request, unplaced.placed + 1), None);
                prop_assert!(oracle::cheapest_group(&fleet, &request, unplaced.placed).is_some());
            }
        }
    }

    #[test]
    fn a_group_under_a_plan_is_one_member_after_another_and_says_so(
        fleet in planned_fleets(), request in easy_requests(), replicas in 1_u32..6,
    ) {
        let nodes = one_by_one(&fleet, &request, replicas);
        let said = whys(&fleet, &request, Replicas::new(replicas).unwrap());
        prop_assert!(said.iter().map(|(node, _)| *node).eq(nodes.iter().copied()));
        match group(&fleet, &request, replicas) {
            Ok(placed) => prop_assert!(placed.into_iter().map(|one| one.node).eq(nodes)),
            Err(unplaced) => {
                assert_counts(&unplaced, &fleet)?;
                prop_assert_eq!(unplaced.placed as usize, nodes.len());
            }
        }
    }

    #[test]
    fn no_owner_and_no_site_has_more_than_it_may(
        fleet in prop_oneof![kin_fleets(), roomy_fleets()], request in spread_requests(), replicas in 1_u32..8,
    ) {
        let placed = group(&fleet, &request, replicas);
        let found = find_group(&mut fleet.clone(), &request, Replicas::new(replicas).unwrap());
        prop_assert_eq!(found.unwrap(), placed.clone().ok());
        let mut siblings = request.siblings.clone();
        for member in placed.into_iter().flatten() {
            prop_assert!(!request.keeps_off(member.provider, member.site));
            siblings.add(member.provider, member.site);
            let most = |most: Option<NonZeroU32>| most.map_or(u32::MAX, NonZeroU32::get);
            prop_assert!(siblings.of_owner(member.provider) <= most(request.spread.per_owner));
            prop_assert!(siblings.at_site(member.site) <= most(request.spread.per_site));
        }
    }

    #[test]
    fn members_keep_off_kin_one_after_another_and_no_group_fails_for_it(
        fleet in kin_fleets(), request in spread_requests(), replicas in 1_u32..6,
    ) {
        let nodes = one_by_one(&fleet, &request, replicas);
        let said = whys(&fleet, &request, Replicas::new(replicas).unwrap());
        prop_assert!(said.iter().map(|(node, _)| *node).eq(nodes.iter().copied()));
        let (mut stranger, mut anywhere) = (fleet.clone(), request.clone());
        stranger.forget_kin();
        anywhere.shun.clear();
        let without = group(&stranger, &anywhere, replicas);
        match group(&fleet, &request, replicas) {
            Ok(placed) => {
                prop_assert_eq!(without.is_ok(), true);
                prop_assert!(placed.into_iter().map(|one| one.node).eq(nodes));
            }
            Err(unplaced) => {
                assert_counts(&unplaced, &fleet)?;
                let without = without.map_err(|unplaced| unplaced.placed);
                prop_assert_eq!(without, Err(unplaced.placed));
            }
        }
    }

    #[test]
    fn a_site_that_is_shunned_is_taken_only_if_no_other_will_do(
        fleet in kin_fleets(), request in spread_requests(),
    ) {
        let place = |request: &Request| find(&mut fleet.clone(), request);
        let mut barred = request.clone();
        barred.avoid.sites.extend(&request.shun);
        let mut anywhere = request.clone();
        anywhere.shun.clear();
        prop_assert_eq!(place(&request), place(&barred).or_else(|| place(&anywhere)));
    }

    #[test]
    fn a_group_on_one_fabric_keeps_off_fabrics_that_are_shunned(
        fleet in roomy_fleets(), request in fabric_requests(), at in 0_u8..2, replicas in 1_u32..4,
    ) {
        let (mut shunning, mut barred) = (request.clone(), request.clone());
        shunning.shun.insert(site(at));
        barred.avoid.sites.insert(site(at));
        let place = |request: &Request| group(&fleet, request, replicas).ok();
        prop_assert_eq!(place(&shunning), place(&barred).or_else(|| place(&request)));
    }

    #[test]
    fn a_group_on_one_fabric_costs_what_brute_force_finds(
        fleet in prop_oneof![fleets(), roomy_fleets()], request in fabric_requests(), replicas in 1_u32..4,
    ) {
        match group(&fleet, &request, replicas) {
            Ok(placements) => {
                let cheapest = oracle::cheapest_group(&fleet, &request, replicas);
                prop_assert_eq!(Some(total(&placements)), cheapest);
                let (mut holding, first) = (fleet.clone(), oracle::offer(&fleet, placements[0].node));
                for placed in placements {
                    let offer = oracle::offer(&holding, placed.node);
                    prop_assert!(oracle::admits(&holding, &request, &offer));
                    prop_assert!(oracle::is_one_fabric(&offer, &first));
                    prop_assert_eq!(holding.hold_on(placed.node, request.shape(), placed.gpus), Ok(()));
                }
            }
            Err(unplaced) => {
                assert_counts(&unplaced, &fleet)?;
                prop_assert_eq!(oracle::cheapest_group(&fleet, &request, unplaced.placed + 1), None);
                prop_assert!(oracle::cheapest_group(&fleet, &request, unplaced.placed).is_some());
            }
        }
    }

    #[test]
    fn who_must_join_a_fabric_goes_where_its_site_and_class_alone_would_do(
        fleet in prop_oneof![fleets(), roomy_fleets(), planned_fleets()], request in requests(), at in any::<prop::sample::Index>(),
    ) {
        let nodes: Vec<_> = fleet.offers().map(|offer| offer.node).collect();
        prop_assume!(!nodes.is_empty());
        let cell = fleet.cell_of(nodes[at.index(nodes.len())]).unwrap();
        let (mut joins, mut narrow) = (request.clone(), request.clone());
        joins.fabric = Some(cell);
        let admits = request.classes.is_empty() || request.classes.contains(&cell.class);
        narrow.classes = vec![cell.class];
        narrow.avoid.sites.extend(fleet.offers().map(|offer| offer.site).filter(|site| *site != cell.site));
        let alone = find(&mut fleet.clone(), &narrow).filter(|_| admits);
        prop_assert_eq!(find(&mut fleet.clone(), &joins), alone);
    }

    #[test]
    fn fabrics_with_room_are_those_where_a_group_goes(
        fleet in prop_oneof![fleets(), roomy_fleets()], request in fabric_requests(), replicas in 1_u32..4,
    ) {
        let wanted = Replicas::new(replicas).unwrap();
        let found = fabrics_with_room((&fleet, &Fleet::new()), &request, wanted);
        for cell in &found {
            let mut there = request.clone();
            there.fabric = Some(*cell);
            prop_assert_eq!(group(&fleet, &there, replicas).map(|group| group.len()), Ok(replicas as usize));
        }
        // Of a node that both have, the other says what is free: here the same.
        prop_assert_eq!(&fabrics_with_room((&fleet, &fleet), &request, wanted), &found);
        let placed = group(&fleet, &request, replicas).ok();
        let at = placed.and_then(|group| fleet.cell_of(group[0].node));
        prop_assert!(at.map_or(found.is_empty(), |at| found.contains(&at)));
    }

    #[test]
    fn a_group_that_was_never_placed_is_explained_like_one_that_was_tried(
        fleet in prop_oneof![fleets(), roomy_fleets()],
        request in prop_oneof![requests(), fabric_requests(), spread_requests()], replicas in 1_u32..6,
    ) {
        let wanted = Replicas::new(replicas).unwrap();
        let told = explain_group((&fleet, &Fleet::new()), &request, wanted);
        let Err(tried) = group(&fleet, &request, replicas) else {
            prop_assert_eq!(told, None);
            return Ok(());
        };
        let told = told.unwrap();
        prop_assert_eq!((told.placed, told.replicas), (tried.placed, tried.replicas));
        assert_counts(&told, &fleet)?;
        if request.spread == Spread::default() && request.together == Together::Anywhere {
            prop_assert_eq!(told.eliminated, tried.eliminated);
        }
        prop_assert_eq!(&explain_group((&fleet, &fleet), &request, wanted).map(|why| why.placed), &Some(told.placed));
    }

    #[test]
    fn the_relaxation_of_a_fabric_places_all(
        fleet in prop_oneof![fleets(), roomy_fleets()], request in fabric_requests(), replicas in 1_u32..6,
    ) {
        helps(&fleet, &request, replicas)?;
    }

    #[test]
    fn the_relaxation_places_all(fleet in fleets(), request in requests(), replicas in 1_u32..6) {
        helps(&fleet, &request, replicas)?;
    }

    #[test]
    fn a_relaxation_is_named_wherever_dropping_one_limit_helps(
        fleet in fleets(), request in requests(), replicas in 1_u32..4,
    ) {
        let Err(unplaced) = group(&fleet, &request, replicas) else { return Ok(()) };
        let without = |change: fn(&mut Request)| {
            let mut changed = request.clone();
            change(&mut changed);
            group(&fleet, &changed, replicas).is_ok()
        };
        // To drop all of a list is more than one change of it where there are several replicas.
        let alone = replicas == 1;
        let helps = alone && (without(|r| r.classes.clear()) || without(|r| r.countries.clear()))
            || without(|r| r.max_price = None)
            || without(|r| r.near = None)
            || without(|r| r.spread.per_owner = None)
            || without(|r| r.spread.per_site = None);
        let named = unplaced.relaxation;
        prop_assert!(!helps || named.is_some_and(|one| !matches!(one, Relaxation::Replicas(_))));
    }

    #[test]
    fn no_smaller_rise_of_the_price_would_do(fleet in fleets(), request in requests()) {
        let Err(unplaced) = place(&mut fleet.clone(), &request) else { return Ok(()) };
        let Some(Relaxation::MaxPrice(price)) = unplaced.relaxation else { return Ok(()) };
        let mut less = request.clone();
        less.max_price = Some(remuda_types::Price::from_micros_per_hour(price.micros_per_hour() - 1));
        prop_assert!(place(&mut fleet.clone(), &less).is_err());
    }

    #[test]
    fn a_release_undoes_its_hold(fleet in fleets(), node in 0_u8..6, shape in shapes()) {
        let mut changed = fleet.clone();
        if let Ok(gpus) = changed.hold(key(node), &shape) {
            prop_assert_ne!(&changed, &fleet);
            prop_assert_eq!(invariant::check(&changed), Ok(()));
            prop_assert_eq!(changed.release(key(node), &shape), Ok(gpus));
        }
        prop_assert_eq!(changed, fleet);
    }

    #[test]
    fn a_fleet_rebuilt_from_its_holds_in_any_order_is_the_same(
        fleet in fleets(), history in proptest::collection::vec((any::<bool>(), 0_u8..6, shapes()), 0..30),
        rotate in 0_usize..8,
    ) {
        let (mut lived, mut leases) = (fleet.clone(), Vec::<(NodeKey, Shape, _)>::new());
        for (hold, node, shape) in history {
            if hold {
                let held = lived.hold(key(node), &shape);
                leases.extend(held.map(|gpus| (key(node), shape, gpus)));
            } else if !leases.is_empty() {
                let (node, shape, gpus) = leases.remove(usize::from(node) % leases.len());
                prop_assert_eq!(lived.release_on(node, &shape, gpus), Ok(()));
            }
            prop_assert_eq!(invariant::check(&lived), Ok(()));
        }
        let mut rebuilt = fleet;
        let turn = rotate % leases.len().max(1);
        leases.rotate_left(turn);
        for (node, shape, gpus) in leases {
            prop_assert_eq!(rebuilt.hold_on(node, &shape, gpus), Ok(()));
        }
        prop_assert_eq!(rebuilt, lived);
    }
}

/// Whoever does what a refusal says is not refused again.
fn helps(fleet: &Fleet, request: &Request, replicas: u32) -> Result<(), TestCaseError> {
    let Err(unplaced) = group(fleet, request, replicas) else {
        return Ok(());
    };
    let Some(relaxation) = unplaced.relaxation else {
        return Ok(());
    };
    let relaxed = relaxation.applied_to(request);
    let asked = if let Relaxation::Replicas(fewer) = relaxation {
        prop_assert!(fewer.get() < replicas);
        fewer.get()
    } else {
        prop_assert_ne!(&relaxed, request);
        replicas
    };
    prop_assert!(group(fleet, &relaxed, asked).is_ok(), "{}", relaxation);
    Ok(())
}

/// The generators reach every constraint and every kind of answer, else the above says little.
#[test]
fn the_worlds_are_varied() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let (mut seen, mut placed, mut relaxed) = (std::collections::BTreeSet::new(), 0, 0);
    for round in 0..2_000 {
        let request = if round % 4 == 0 {
            fabric_requests().boxed()
        } else {
            requests().boxed()
        };
        let drawn = (fleets(), request).new_tree(&mut runner).unwrap().current();
        match group(&drawn.0, &drawn.1, 2) {
            Ok(_) => placed += 1,
            Err(unplaced) => {
                relaxed += u32::from(unplaced.relaxation.is_some());
                seen.extend(
                    unplaced
                        .eliminated
                        .into_iter()
                        .map(|(constraint, _)| constraint),
                );
            }
        }
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), Constraint::ALL);
    assert!(
        placed > 200 && relaxed > 200,
        "{placed} placed, {relaxed} relaxed"
    );
}
