//! What cannot be had now is deployed as soon as it can.

use remuda_network::command::{EnrolNode, ObservedPhase};
use remuda_network::state::{EndReason, OrderEnd, Terms};
use remuda_network::{Command, Event, Network};
use remuda_types::{Capacity, ProjectId, Span, WorkloadId};

use crate::world::{World, capacity, key, lax, per_hour, secs, terms};

/// Stands for an hour at most.
fn order(world: &World, project: ProjectId, terms: &Terms, replicas: u32) -> Command {
    Command::PlaceOrder {
        project,
        terms: Box::new(terms.clone()),
        replicas,
        until: world.now + secs(3_600),
    }
}

fn stands(events: &[Event]) -> WorkloadId {
    match events {
        [Event::OrderStands { workload, .. }] => *workload,
        other => panic!("{other:?}"),
    }
}

fn ends(events: &[Event]) -> Vec<OrderEnd> {
    let ends = events.iter().filter_map(|event| match event {
        Event::OrderEnded { end, .. } => Some(*end),
        _ => None,
    });
    ends.collect()
}

/// For a while, a tick a second.
fn pass(world: &mut World, seconds: u64) -> Vec<Event> {
    (0..seconds)
        .flat_map(|_| world.tick_after(secs(1)))
        .collect()
}

#[test]
fn an_order_is_filled_when_what_it_allows_comes_free() {
    let mut world = World::new(lax());
    world.node(1, "4.00");
    let (_, project) = world.project(1, "100.00");
    let cheap = Terms {
        max_price: Some(per_hour("1.00")),
        ..terms(1)
    };
    let placed = world.run(order(&world, project, &cheap, 2));
    let workload = stands(&placed);
    assert!(
        pass(&mut world, 100)
            .iter()
            .all(|event| matches!(event, Event::OrderWaits { .. }))
    );
    // Half of this node costs a dollar, and there is room for both.
    world.node(2, "2.00");
    let events = pass(&mut world, 100);
    assert_eq!(ends(&events), [OrderEnd::Filled]);
    assert!(world.state().orders.is_empty());
    assert_eq!(world.held(workload).len(), 2);
    assert!(
        world
            .held(workload)
            .iter()
            .all(|(_, lease)| lease.is_some())
    );
}

#[test]
fn what_has_room_is_deployed_at_once() {
    let mut world = World::new(lax());
    world.node(1, "4.00");
    let (_, project) = world.project(1, "100.00");
    let events = world.run(order(&world, project, &terms(1), 2));
    assert!(matches!(events[0], Event::WorkloadAccepted { .. }));
    assert!(world.state().orders.is_empty());
}

#[test]
fn a_group_is_placed_whole_or_not_at_all() {
    let mut world = World::new(lax());
    world.node(1, "4.00");
    let (_, project) = world.project(1, "100.00");
    let placed = world.run(order(&world, project, &terms(1), 3));
    let workload = stands(&placed);
    pass(&mut world, 100);
    assert!(world.state().leases.is_empty() && world.state().workloads.is_empty());
    world.node(2, "4.00");
    pass(&mut world, 100);
    assert_eq!(world.held(workload).len(), 3);
}

#[test]
fn an_order_keeps_its_name_until_it_lapses_or_is_cancelled() {
    let mut world = World::new(lax());
    let (_, project) = world.project(1, "100.00");
    let placed = world.run(order(&world, project, &terms(1), 1));
    let workload = stands(&placed);
    let again = order(&world, project, &terms(1), 1);
    let taken = "a standing order (`remuda order ls`) of this name exists already: choose another \
                 name, or use that one";
    assert_eq!(world.refused(again), taken);
    let events = world.run(Command::CancelOrder { workload });
    assert_eq!(ends(&events), [OrderEnd::Cancelled]);
    let unknown = format!("there is no standing order {workload}");
    assert_eq!(world.refused(Command::CancelOrder { workload }), unknown);

    let again = order(&world, project, &terms(1), 1);
    stands(&world.run(again));
    world.wait(secs(3_599));
    let events = pass(&mut world, 2);
    assert_eq!(ends(&events), [OrderEnd::Lapsed]);
    for until in [world.now, world.now + secs(90 * 86_400 + 1)] {
        let order = Command::PlaceOrder {
            project,
            terms: Box::new(terms(1)),
            replicas: 1,
            until,
        };
        assert_eq!(
            world.refused(order),
            "until: a time that lies ahead is expected, by 90 days at most"
        );
    }
}

/// Without money for all of it, an order waits as it does without room.
#[test]
fn an_order_waits_for_a_budget_too() {
    let mut world = World::new(lax());
    let (_, project) = world.project(1, "0.01");
    let placed = world.run(order(&world, project, &terms(1), 1));
    stands(&placed);
    world.node(1, "4000.00");
    assert!(
        pass(&mut world, 60)
            .iter()
            .all(|event| matches!(event, Event::OrderWaits { .. }))
    );
    assert_eq!(world.state().orders.len(), 1);
}

#[test]
fn a_tick_tries_so_many_overdue_orders_and_so_many_of_their_replicas() {
    for (replicas, tried) in [(1, 50), (400, 1)] {
        let mut world = World::new(lax());
        world.node(1, "4.00");
        let (_, project) = world.project(1, "100.00");
        for n in 1..=60 {
            let cheap = Terms {
                max_price: Some(per_hour("1.00")),
                ..terms(n)
            };
            stands(&world.run(order(&world, project, &cheap, replicas)));
        }
        world.wait(secs(600));
        let mut left = 60;
        while left > 0 {
            let waits = world.run(Command::Tick { adopting: false });
            assert_eq!(waits.len(), tried.min(left), "{waits:?}");
            left -= waits.len();
        }
        assert!(world.run(Command::Tick { adopting: false }).is_empty());
    }
}

/// Both GPUs of the only node are taken, and an order has waited so long that its turn is minutes away.
fn long_wait() -> (World, WorkloadId, WorkloadId, ProjectId) {
    let mut world = World::new(lax());
    world.node(1, "4.00");
    let (_, project) = world.project(1, "100.00");
    let taken = world.deploy(project, &terms(1), 2);
    world.all_ready(taken);
    let placed = world.run(order(&world, project, &terms(2), 1));
    let ordered = stands(&placed);
    pass(&mut world, 300);
    assert!(world.state().orders[&ordered].retry > world.now + secs(60));
    (world, taken, ordered, project)
}

/// The leases of a workload end, in a tick that fills nothing.
fn ends_running(world: &mut World, workload: WorkloadId) {
    world.run(Command::StopWorkload { workload });
    let events = world.tick_after(secs(30));
    assert!(ends(&events).is_empty() && world.state().leases.is_empty());
}

#[test]
fn room_that_a_lease_leaves_is_given_at_the_next_tick() {
    let (mut world, taken, ordered, _) = long_wait();
    ends_running(&mut world, taken);
    let events = world.run(Command::Tick { adopting: false });
    assert_eq!(ends(&events), [OrderEnd::Filled]);
    assert_eq!(world.held(ordered).len(), 1);
}

#[test]
fn room_on_a_node_that_comes_is_given_at_the_next_tick() {
    let (mut world, ..) = long_wait();
    let next = world.network.index().next_due();
    assert!(next > Some(world.now));
    world.node(2, "2.00");
    assert_eq!(world.network.index().next_due(), Some(world.now));
    let events = world.run(Command::Tick { adopting: false });
    assert_eq!(ends(&events), [OrderEnd::Filled]);
}

#[test]
fn room_that_was_booked_is_given_at_the_next_tick() {
    let mut world = World::new(lax());
    world.node(1, "4.00");
    let (_, project) = world.project(1, "100.00");
    let booked = world.run(Command::Reserve {
        project,
        terms: Box::new(terms(1)),
        replicas: 2,
        from: world.now + secs(3_600),
        to: world.now + secs(7_200),
    });
    let Event::ReservationMade { workload, .. } = booked[0] else {
        panic!("{booked:?}")
    };
    let placed = world.run(order(&world, project, &terms(2), 1));
    stands(&placed);
    pass(&mut world, 300);
    world.run(Command::CancelReservation { workload });
    let events = world.run(Command::Tick { adopting: false });
    assert_eq!(ends(&events), [OrderEnd::Filled]);
}

/// It has its turn, and the wait until then, as if nobody had tried it.
#[test]
fn an_order_that_is_woken_in_vain_keeps_its_turn() {
    let (mut world, _, ordered, _) = long_wait();
    let before = world.state().orders[&ordered].clone();
    let dear = Terms {
        max_price: Some(per_hour("0.01")),
        ..terms(3)
    };
    let project = before.project;
    let placed = world.run(order(&world, project, &dear, 1));
    let other = stands(&placed);
    world.node(2, "1.00");
    let events = world.run(Command::Tick { adopting: false });
    assert_eq!(ends(&events), [OrderEnd::Filled]);
    assert_eq!(world.state().orders[&other].attempts, 1);
    assert_eq!(
        world.state().orders[&other].retry,
        world.now + world.state().policy.replace_backoff
    );
    // Its turn comes and it waits on.
    let events = pass(&mut world, 1);
    assert!(matches!(events[..], [Event::OrderWaits { workload, .. }] if workload == other));
    assert_eq!(world.state().orders[&other].attempts, 2);
}

#[test]
fn room_of_a_class_wakes_those_only_who_take_it() {
    let (mut world, taken, ordered, project) = long_wait();
    let other = Terms {
        classes: vec!["rtx4090-24".parse().unwrap()],
        ..terms(3)
    };
    let placed = world.run(order(&world, project, &other, 1));
    let other = stands(&placed);
    let this = Terms {
        classes: vec![
            "h100-sxm-80".parse().unwrap(),
            "rtx4090-24".parse().unwrap(),
        ],
        ..terms(4)
    };
    let placed = world.run(order(&world, project, &this, 1));
    let this = stands(&placed);
    pass(&mut world, 300);
    ends_running(&mut world, taken);
    let events = world.run(Command::Tick { adopting: false });
    assert_eq!(ends(&events), [OrderEnd::Filled, OrderEnd::Filled]);
    assert_eq!((world.held(ordered).len(), world.held(this).len()), (1, 1));
    let of_other =
        |event: &Event| matches!(event, Event::OrderWaits { workload, .. } if *workload == other);
    assert!(!events.iter().any(of_other), "{events:?}");
}

/// All of them are tried, the oldest first, so many in a tick and no more in the second after.
#[test]
fn room_that_none_can_use_costs_a_bounded_number_of_tries_a_second() {
    let mut world = World::new(lax());
    world.node(1, "4.00");
    let (_, project) = world.project(1, "100.00");
    let cheap = |n| Terms {
        max_price: Some(per_hour("1.00")),
        ..terms(n)
    };
    let mut orders = Vec::new();
    for n in 1..=120 {
        orders.push(stands(&world.run(order(&world, project, &cheap(n), 1))));
        world.wait(Span::from_millis(1));
    }
    pass(&mut world, 600);
    world.node(2, "4.00");
    let mut tried = Vec::new();
    for expected in [50, 50, 20, 0] {
        let events = world.run(Command::Tick { adopting: false });
        tried.extend(events.iter().map(|event| match event {
            Event::OrderWaits { workload, .. } => *workload,
            other => panic!("{other:?}"),
        }));
        assert_eq!(events.len(), expected);
        let again = world.run(Command::Tick { adopting: false });
        assert!(again.is_empty(), "{again:?}");
        world.wait(Span::from_millis(1_000));
        // None of them has its own turn meanwhile.
        assert!(
            world
                .state()
                .orders
                .values()
                .all(|order| order.retry > world.now)
        );
    }
    assert_eq!(tried, orders);
}

/// What came free before is in no state: whoever starts anew from one tries them all.
#[test]
fn an_index_made_anew_wakes_everyone() {
    let (mut world, taken, _, _) = long_wait();
    ends_running(&mut world, taken);
    world.network = Network::new(world.state().clone());
    let events = world.run(Command::Tick { adopting: false });
    assert_eq!(ends(&events), [OrderEnd::Filled]);
}

/// What runs, or was booked, and lost its node has the room that comes free before any order has.
#[test]
fn who_has_lost_a_place_goes_before_who_waits_for_a_first_one() {
    let mut world = World::new(lax());
    let (_, node) = world.node(1, "4.00");
    let (_, project) = world.project(1, "100.00");
    let running = world.deploy(project, &terms(1), 2);
    world.all_ready(running);
    let placed = world.run(order(&world, project, &terms(2), 1));
    stands(&placed);
    let last_seen = world.now;
    world.run(Command::NodeLost { node, last_seen });
    pass(&mut world, 300);
    assert!(world.held(running).iter().all(|(_, lease)| lease.is_none()));
    // Before its turn.
    world.node(2, "4.00");
    let events = world.run(Command::Tick { adopting: false });
    assert!(ends(&events).is_empty(), "{events:?}");
    assert!(world.held(running).iter().all(|(_, lease)| lease.is_some()));
    world.node(3, "4.00");
    let events = world.tick_after(secs(1));
    assert_eq!(ends(&events), [OrderEnd::Filled]);
}

/// Or room that others leave would have it wait ever longer for room of its own.
#[test]
fn who_is_tried_out_of_turn_in_vain_keeps_its_turn() {
    let mut world = World::new(lax());
    let (_, node) = world.node(1, "4.00");
    let (_, project) = world.project(1, "100.00");
    let running = world.deploy(project, &terms(1), 2);
    world.all_ready(running);
    stands(&world.run(order(&world, project, &terms(2), 1)));
    let last_seen = world.now;
    world.run(Command::NodeLost { node, last_seen });
    pass(&mut world, 30);
    let (replica, _) = world.held(running)[0];
    let before = world.state().replicas[&replica].clone();
    assert!(before.retry > Some(world.now));
    // Room for none of them; an order is woken by it all the same.
    let provider = world.provider(2);
    let site = world.site(provider, 2);
    let small = Capacity {
        gpus: 0,
        gpu_memory_mib: 0,
        ..capacity()
    };
    world.run(Command::EnrolNode(Box::new(EnrolNode {
        node: key(2),
        provider,
        site,
        class: "h100-sxm-80".parse().unwrap(),
        capacity: small,
        price: per_hour("1.00"),
    })));
    world.run(Command::NodeConnected {
        node: key(2),
        capacity: small,
    });
    let events = world.run(Command::Tick { adopting: false });
    assert!(
        matches!(events[..], [Event::OrderWaits { .. }]),
        "{events:?}"
    );
    assert_eq!(world.state().replicas[&replica], before);
}

#[test]
fn what_was_booked_and_lost_its_node_goes_before_an_order() {
    let mut world = World::new(lax());
    let (_, node) = world.node(1, "4.00");
    let (_, project) = world.project(1, "100.00");
    world.run(Command::Reserve {
        project,
        terms: Box::new(terms(1)),
        replicas: 2,
        from: world.now + secs(3_600),
        to: world.now + secs(7_200),
    });
    let placed = world.run(order(&world, project, &terms(2), 1));
    stands(&placed);
    let last_seen = world.now;
    world.run(Command::NodeLost { node, last_seen });
    pass(&mut world, 300);
    let has_place = |world: &World| {
        let claims = world.state().claims.values();
        claims.filter(|claim| claim.place.is_some()).count()
    };
    assert_eq!(has_place(&world), 0);
    world.node(2, "4.00");
    let events = world.run(Command::Tick { adopting: false });
    assert!(ends(&events).is_empty(), "{events:?}");
    assert_eq!(has_place(&world), 2);
}

/// What fails over and over is not started again because room came free.
#[test]
fn a_replica_that_crashed_waits_for_its_turn_whatever_comes_free() {
    let mut world = World::new(lax());
    world.node(1, "4.00");
    let (_, project) = world.project(1, "100.00");
    let running = world.deploy(project, &terms(1), 1);
    world.all_ready(running);
    let dear = Terms {
        max_price: Some(per_hour("0.01")),
        ..terms(2)
    };
    let placed = world.run(order(&world, project, &dear, 1));
    stands(&placed);
    pass(&mut world, 300);
    let lease = world.only(running);
    world.see(lease, ObservedPhase::Ended(EndReason::Crashed));
    // The room that it left itself wakes the order, and not the replica.
    let events = world.run(Command::Tick { adopting: false });
    assert!(
        matches!(events[..], [Event::OrderWaits { .. }]),
        "{events:?}"
    );
    world.tick_after(secs(1));
    assert!(world.held(running)[0].1.is_some());
}
