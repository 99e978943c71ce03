//! Capacity asked for from a time on and before another.

use remuda_network::command::ObservedPhase;
use remuda_network::network::Decision;
use remuda_network::state::{EndReason, ReservationEnd, Terms};
use remuda_network::{Command, Event, Policy, Refusal};
use remuda_types::{Label, ProjectId, Shape, Span, Tier, Time, WorkloadId};

use crate::world::{World, command_id, lax, secs, terms};

/// Both GPUs of a node.
fn whole(n: u8) -> Terms {
    Terms {
        shape: Shape {
            gpu_milli: 2_000,
            ..terms(n).shape
        },
        ..terms(n)
    }
}

/// From so many seconds from the start on, and before so many.
fn book(project: ProjectId, terms: &Terms, (from, to): (u64, u64)) -> Command {
    let at = |from| crate::world::START + Span::from_secs(from);
    Command::Reserve {
        project,
        terms: Box::new(terms.clone()),
        replicas: 1,
        from: at(from),
        to: at(to),
    }
}

fn deploy(project: ProjectId, terms: &Terms) -> Command {
    Command::Deploy {
        project,
        terms: Box::new(terms.clone()),
        replicas: 1,
    }
}

fn booked(events: &[Event]) -> WorkloadId {
    match events[0] {
        Event::ReservationMade { workload, .. } => workload,
        ref other => panic!("{other:?}"),
    }
}

fn ends(events: &[Event]) -> Vec<ReservationEnd> {
    let ends = events.iter().filter_map(|event| match event {
        Event::ReservationEnded { end, .. } => Some(*end),
        _ => None,
    });
    ends.collect()
}

fn until(world: &mut World, secs: u64) -> Vec<Event> {
    let at = crate::world::START + Span::from_secs(secs);
    world.tick_after(at.since(world.now))
}

#[test]
fn two_that_never_meet_have_the_same_gpus_one_after_the_other() {
    let mut world = World::new(lax());
    let (_, node) = world.node(1, "1.00");
    let (_, project) = world.project(1, "100.00");
    let first = booked(&world.run(book(project, &whole(1), (3_600, 7_200))));
    let second = booked(&world.run(book(project, &whole(2), (7_200, 9_000))));
    let none = "no capacity: 1 node: 1 without 2 GPUs free";
    assert_eq!(
        world.refused(book(project, &whole(3), (7_100, 7_300))),
        none
    );
    assert_eq!(world.refused(book(project, &whole(3), (0, 3_700))), none);
    world.run(book(project, &whole(3), (60, 3_600)));
    assert_eq!(world.refused(deploy(project, &whole(4))), none);
    let spot = Terms {
        tier: Tier::Spot,
        ..terms(5)
    };
    let spot = world.deploy(project, &spot, 2);
    world.all_ready(spot);
    until(&mut world, 3_599);
    let events = until(&mut world, 3_600);
    assert_eq!(ends(&events), [ReservationEnd::Over]);
    let lease = world.only(first);
    assert_eq!(world.lease(lease).node, node);
    assert_eq!(
        world.lease(lease).hard_end,
        crate::world::START + secs(7_200)
    );
    world.see(lease, ObservedPhase::Ready);
    // It costs what its time costs, and no slice goes beyond.
    assert_eq!(
        world.lease(lease).slice_end,
        crate::world::START + secs(7_200)
    );

    let events = until(&mut world, 7_200);
    let over = events.iter().find_map(|event| match event {
        Event::LeaseEnded {
            lease: id, reason, ..
        } if *id == lease => Some(*reason),
        _ => None,
    });
    assert_eq!(over, Some(EndReason::TermOver));
    assert!(!world.state().workloads.contains_key(&first));
    let lease = world.only(second);
    world.see(lease, ObservedPhase::Ready);
    until(&mut world, 9_000);
    assert!(world.state().reservations.is_empty() && world.state().claims.is_empty());
    // Spot has the node for itself again.
    assert!(world.held(spot).iter().all(|(_, lease)| lease.is_some()));
}

#[test]
fn what_ends_before_its_time_is_kept_and_given_again() {
    let mut world = World::new(lax());
    world.node(1, "1.00");
    let (_, project) = world.project(1, "100.00");
    let id = booked(&world.run(book(project, &whole(1), (60, 7_200))));
    until(&mut world, 60);
    world.see(world.only(id), ObservedPhase::Ready);
    world.see(world.only(id), ObservedPhase::Ended(EndReason::Crashed));
    assert_eq!(world.held(id)[0].1, None);
    let refused = world.refused(deploy(project, &terms(2)));
    assert_eq!(refused, "no capacity: 1 node: 1 without 1 GPU free");
    world.tick_after(secs(2));
    let lease = world.only(id);
    world.see(lease, ObservedPhase::Ready);
    world.run(Command::StopWorkload { workload: id });
    assert!(!world.state().claims.is_empty(), "it still drains");
    world.tick_after(secs(30));
    assert!(world.state().reservations.is_empty() && world.state().claims.is_empty());
}

#[test]
fn a_budget_that_cannot_pay_lets_it_lapse_and_a_tenant_may_cancel() {
    let mut world = World::new(lax());
    world.node(1, "1.00");
    let (_, poor) = world.project(1, "2.00");
    let beyond = world.refused(book(poor, &whole(1), (60, 7_300)));
    assert!(beyond.starts_with("the project's budget has 2"), "{beyond}");
    let id = booked(&world.run(book(poor, &whole(1), (60, 7_200))));
    // What it has is used up by then.
    world.node(2, "20.00");
    world.deploy(poor, &whole(2), 1);
    assert_eq!(
        world.refused(book(poor, &terms(1), (8_000, 9_000))),
        "a reservation (`remuda reservation ls`) of this name exists already: choose another name, or \
         use that one"
    );
    let events = until(&mut world, 60);
    assert_eq!(ends(&events), [ReservationEnd::Lapsed]);
    assert!(!world.state().workloads.contains_key(&id) && world.state().claims.is_empty());

    let (_, rich) = world.project(2, "100.00");
    let workload = booked(&world.run(book(rich, &whole(1), (3_600, 7_200))));
    let events = world.run(Command::CancelReservation { workload });
    assert_eq!(ends(&events), [ReservationEnd::Cancelled]);
    assert!(world.state().claims.is_empty());
    let workload = booked(&world.run(book(rich, &whole(1), (3_600, 7_200))));
    until(&mut world, 3_600);
    assert_eq!(
        world.refused(Command::CancelReservation { workload }),
        "the reservation is begun: stop its workload"
    );
}

#[test]
fn a_reservation_moves_when_its_node_goes_and_never_gets_dearer() {
    let mut world = World::new(lax());
    let (_, first) = world.node(1, "1.00");
    let (_, project) = world.project(1, "100.00");
    let id = booked(&world.run(book(project, &whole(1), (3_600, 7_200))));
    let place = |world: &World| {
        let claims = world.state().claims.values();
        let places: Vec<_> = claims.filter_map(|claim| claim.place).collect();
        places.first().map(|place| place.node)
    };
    assert_eq!(place(&world), Some(first));
    world.node(2, "3.00");
    let last_seen = world.now;
    world.run(Command::NodeLost {
        node: first,
        last_seen,
    });
    assert_eq!(place(&world), None, "the other is too dear");
    let (_, third) = world.node(3, "1.00");
    until(&mut world, 3_500);
    assert_eq!(place(&world), Some(third));
    until(&mut world, 3_600);
    assert_eq!(world.lease(world.only(id)).node, third);
}

#[test]
fn times_that_make_no_sense() {
    let mut world = World::new(lax());
    world.node(1, "1.00");
    let (_, project) = world.project(1, "100.00");
    world.wait(secs(600));
    let mut refused = |terms: &Terms, times| world.refused(book(project, terms, times));
    assert_eq!(
        refused(&terms(1), (0, 900)),
        "from: it lies in the past: deploy what is wanted at once"
    );
    assert_eq!(
        refused(&terms(1), (900, 901)),
        "to: 1 minute or more after the beginning is expected"
    );
    assert_eq!(
        refused(&terms(1), (900, 900 + 367 * 86_400)),
        "to: over 366 days long: reserve less"
    );
    let year = 366 * 86_400;
    for last in [year + 900, u64::MAX] {
        assert_eq!(
            refused(&terms(1), (year + 700, last)),
            "from: over 365 days ahead: come back later"
        );
    }
    let spot = Terms {
        tier: Tier::Spot,
        ..terms(1)
    };
    assert!(refused(&spot, (900, 1_000)).starts_with("tier: spot"));
    let never = Time::FOREVER.since(crate::world::START).as_millis() / 1_000;
    assert!(refused(&terms(1), (900, never)).starts_with("to: "));
}

#[test]
fn why_there_is_no_room_is_left_to_whoever_asks() {
    let mut world = World::new(lax());
    for n in 1..=2 {
        world.node(n, "1.00");
    }
    let (_, project) = world.project(1, "100.00");
    let apart = Terms {
        tier: Tier::MultiSite,
        ..whole(1)
    };
    let three = Command::Reserve {
        project,
        terms: Box::new(apart),
        replicas: 3,
        from: world.now + secs(3_600),
        to: world.now + secs(7_200),
    };
    let refused = world.try_run(&three);
    assert!(matches!(refused, Err(Refusal::NoRoom(_))), "{refused:?}");
    assert_eq!(
        world.refused(three),
        "no capacity: placed 2 of 3; for the next: 2 nodes: 2 of an owner that has 1 already"
    );
    // What is taken then is told from what is taken now.
    world.deploy(project, &whole(2), 1);
    world.run(book(project, &whole(3), (3_600, 7_200)));
    let none = world.refused(book(project, &whole(4), (5_000, 7_200)));
    assert_eq!(none, "no capacity: 2 nodes: 2 without 2 GPUs free");
}

/// What many reservations of some replicas each are of: no GPU, and next to nothing else.
fn tiny(n: u8) -> Terms {
    Terms {
        shape: Shape {
            cpu_milli: 1,
            ..Shape::default()
        },
        ..terms(n)
    }
}

fn six_hundred(project: ProjectId, n: u8, (from, to): (u64, u64)) -> Command {
    let Command::Reserve {
        terms, from, to, ..
    } = book(project, &tiny(n), (from, to))
    else {
        unreachable!()
    };
    Command::Reserve {
        project,
        terms,
        replicas: 600,
        from,
        to,
    }
}

#[test]
fn one_tick_begins_so_many_replicas() {
    let mut world = World::new(lax());
    world.node(1, "1.00");
    let (_, project) = world.project(1, "100.00");
    for n in 1..=2 {
        world.run(six_hundred(project, n, (60, 120)));
    }
    until(&mut world, 60);
    assert_eq!(world.state().leases.len(), 600);
    world.tick_after(secs(0));
    assert_eq!(world.state().leases.len(), 1_200);
}

#[test]
fn for_many_bookings_that_lost_their_node_another_is_looked_for_little_by_little() {
    let mut world = World::new(lax());
    let (_, first) = world.node(1, "1.00");
    let (_, project) = world.project(1, "100.00");
    for n in 0..60 {
        let from = 3_600 + 60 * u64::from(n);
        world.run(book(project, &whole(n), (from, from + 60)));
    }
    let sought = |events: &[Event]| {
        let sought = |event: &&Event| matches!(event, Event::ClaimSought { .. });
        events.iter().filter(sought).count()
    };
    let placed = |world: &World| {
        let claims = world.state().claims.values();
        claims.filter(|claim| claim.place.is_some()).count()
    };
    let lose = |world: &mut World, node| {
        let last_seen = world.now;
        world.run(Command::NodeLost { node, last_seen })
    };
    assert_eq!(sought(&lose(&mut world, first)), 60);
    assert_eq!(sought(&world.tick_after(secs(1))), 50);
    assert_eq!(sought(&world.tick_after(secs(0))), 10);
    let (_, second) = world.node(2, "1.00");
    world.tick_after(secs(60));
    world.tick_after(secs(0));
    assert_eq!(placed(&world), 60);
    world.node(3, "1.00");
    lose(&mut world, second);
    assert_eq!(placed(&world), 50);
    world.tick_after(secs(1));
    assert_eq!(placed(&world), 60);
}

#[test]
fn what_begins_waits_for_what_is_over_where_one_tick_does_not_get_to_both() {
    let mut world = World::new(Policy {
        tick_limit: 2,
        ..lax()
    });
    world.node(1, "1.00");
    let (_, project) = world.project(1, "100.00");
    // Of two that are due at once the one that was made first comes first.
    let late = booked(&world.run(book(project, &whole(1), (120, 180))));
    world.wait(secs(1));
    let early = booked(&world.run(book(project, &whole(2), (60, 120))));
    until(&mut world, 60);
    world.see(world.only(early), ObservedPhase::Ready);
    until(&mut world, 120);
    while world.network.index().next_due() <= Some(world.now) {
        world.tick_after(secs(0));
    }
    let has_begun = |claim: &remuda_network::state::Claim| claim.replica.is_some();
    assert!(world.state().claims.values().all(has_begun));
    assert_eq!(world.lease(world.only(late)).granted, world.now);
}

#[test]
fn a_node_has_only_so_many_bookings_and_the_next_goes_elsewhere() {
    let mut world = World::new(Policy {
        max_workloads: 10_000,
        ..lax()
    });
    let (_, first) = world.node(1, "1.00");
    let (_, project) = world.project(1, "100.00");
    let mut number = 0;
    // Without the checks that `World` makes after each, which look at all of them.
    let mut reserve = |world: &mut World| {
        number += 1;
        let from = 3_600 + 60 * number;
        let Command::Reserve {
            terms, from, to, ..
        } = book(project, &whole(1), (from, from + 60))
        else {
            unreachable!()
        };
        let mut name = [0; 16];
        name[..8].copy_from_slice(&number.to_be_bytes());
        let (label, replicas) = (Label(name), 1);
        let terms = Box::new(Terms { label, ..*terms });
        let command = Command::Reserve {
            project,
            terms,
            replicas,
            from,
            to,
        };
        let id = command_id(world.now, 1_000_000 + number);
        let decided = world.network.decide(world.now, id, &command);
        decided.map(|decision| {
            let Decision::New(events) = decision else {
                unreachable!()
            };
            world.network.commit(world.now, id, &events);
        })
    };
    for _ in 0..4_096 {
        assert_eq!(reserve(&mut world), Ok(()));
    }
    let refused = reserve(&mut world).unwrap_err();
    let why = world.network.explain(refused).to_string();
    assert_eq!(why, "no capacity: 1 node: 1 to be avoided");
    let (_, second) = world.node(2, "1.00");
    assert_eq!(reserve(&mut world), Ok(()));
    let places = world
        .state()
        .claims
        .values()
        .filter_map(|claim| claim.place);
    let on = |node| places.clone().filter(|place| place.node == node).count();
    assert_eq!((on(first), on(second)), (4_096, 1));
}

/// A claim names the replica that began on it. That replica may still have an older lease there, which
/// drains: when it ends, what is booked is not free.
#[test]
fn a_lease_that_drains_beside_what_is_booked_does_not_give_it_back() {
    let mut world = World::new(lax());
    let (_, project) = world.project(1, "10000.00");
    let (_, home) = world.node(1, "3.00");
    let id = booked(&world.run(book(project, &terms(1), (60, 90_000))));
    let last_seen = world.now;
    // It begins elsewhere, for its node is not to be had.
    let (_, other) = world.node(2, "2.00");
    world.run(Command::NodeSuspected {
        node: home,
        last_seen,
    });
    until(&mut world, 60);
    world.see(world.only(id), ObservedPhase::Ready);
    assert_eq!(world.lease(world.only(id)).node, other);
    world.run(Command::NodeCleared { node: home });
    // It moves to its node, and not to what is booked of it.
    move_it(&mut world, id, Command::DrainNode { node: other });
    assert_eq!(world.lease(world.only(id)).node, home);
    world.tick_after(secs(31));
    // It moves to where it costs less. That node is lost, and what is booked is called.
    let (_, third) = world.node(3, "1.00");
    let from = remuda_types::LeaseId::from_u128(0);
    move_it(&mut world, id, Command::Repack { from });
    assert_eq!(world.lease(world.only(id)).node, third);
    let last_seen = world.now;
    world.run(Command::NodeLost {
        node: third,
        last_seen,
    });
    assert_eq!(world.lease(world.only(id)).node, home);
    let begun = |world: &World| {
        let claims = world.state().claims.values();
        claims.filter(|claim| claim.replica.is_some()).count()
    };
    assert_eq!((begun(&world), world.state().leases.len()), (1, 2));
    world.tick_after(secs(30));
    assert_eq!((begun(&world), world.state().leases.len()), (1, 1));
    // The rest of the node is free.
    world.deploy(project, &terms(2), 1);
}

/// Has the only replica of a workload go elsewhere.
fn move_it(world: &mut World, workload: WorkloadId, command: Command) {
    world.run(command);
    let replica = world.held(workload)[0].0;
    let next = world.state().replicas[&replica].successor.unwrap();
    world.see(next, ObservedPhase::Ready);
}
