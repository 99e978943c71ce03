//! What cannot be had now is deployed as soon as it can.

use remuda_network::state::{OrderEnd, Terms};
use remuda_network::{Command, Event};
use remuda_types::{ProjectId, WorkloadId};

use crate::world::{World, lax, per_hour, secs, terms};

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
    let taken = "a workload of this name exists already: choose another name, or use that one";
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
    let past = Command::PlaceOrder {
        project,
        terms: Box::new(terms(1)),
        replicas: 1,
        until: world.now,
    };
    let problem = world.refused(past);
    assert!(
        problem.starts_with("until: it is to lie within"),
        "{problem}"
    );
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
