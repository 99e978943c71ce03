//! Each promise that is broken is noticed.

use remuda_network::Network;
use remuda_network::event::Slice;
use remuda_network::state::{Node, Terms};
use remuda_types::{
    Capacity, Class, CommandId, LeaseId, Money, Price, ProjectId, ProviderId, Shape, SiteId, Tier,
    Together, TransferId, WorkloadKind,
};

use super::*;
use crate::run::ground::label;

const ID: WorkloadId = WorkloadId::from_u128(1);
const REPLICA: ReplicaId = ReplicaId::from_u128(2);
const CLAIM: ClaimId = ClaimId::from_u128(3);
const NODE: NodeKey = NodeKey([4; 32]);

const fn at(secs: u64) -> Time {
    Time::from_millis(1_000 * secs)
}

fn terms() -> Box<Terms> {
    Box::new(Terms {
        kind: WorkloadKind::Service,
        label: label(1),
        spec: label(1),
        tier: Tier::Standard,
        shape: Shape::default(),
        classes: Vec::new(),
        countries: Vec::new(),
        max_price: Some(Price::from_micros_per_hour(100)),
        near: None,
        tokens: None,
        model: None,
        together: Together::default(),
        max_owner_share: None,
        max_site_share: None,
    })
}

/// One replica, from the hundredth second to the thousandth.
fn made() -> Event {
    Event::ReservationMade {
        workload: ID,
        project: ProjectId::from_u128(1),
        terms: terms(),
        replicas: 1,
        from: at(100),
        to: at(1_000),
        at: at(0),
    }
}

fn claimed() -> Event {
    Event::ClaimGranted {
        claim: CLAIM,
        workload: ID,
        node: NODE,
        shape: Shape::default(),
        gpu_bits: 1,
        at: at(0),
    }
}

fn accepted() -> Event {
    Event::WorkloadAccepted {
        workload: ID,
        project: ProjectId::from_u128(1),
        terms: terms(),
        at: at(100),
    }
}

fn begun() -> [Event; 3] {
    let (workload, replica) = (ID, REPLICA);
    [
        Event::ReservationBegun {
            workload,
            at: at(100),
        },
        accepted(),
        Event::ReplicaAdded { replica, workload },
    ]
}

fn granted(node: NodeKey, micros: u64) -> Event {
    Event::LeaseGranted {
        lease: LeaseId::from_u128(5),
        replica: REPLICA,
        node,
        shape: Shape::default(),
        price: Price::from_micros_per_hour(micros),
        epoch: 1,
        at: at(100),
        slice: Slice {
            reservation: TransferId::from_u128(1),
            reserved: Money::ZERO,
            end: at(1_000),
            hard_end: at(1_000),
        },
        succeeds: false,
        gpu_bits: 1,
    }
}

/// A network whose one node is there.
fn network() -> State {
    let node = Node {
        provider: ProviderId::from_u128(1),
        site: SiteId::from_u128(1),
        class: Class::CPU,
        capacity: Capacity::default(),
        price: Price::default(),
        enrolled: Time::EPOCH,
        presence: Presence::Up(Time::EPOCH),
        leases: BTreeSet::new(),
        drain_tried: None,
        silent_since: None,
        leaves: false,
    };
    let mut state = State::default();
    state.nodes.insert(NODE, node);
    state
}

fn book(events: impl IntoIterator<Item = Event>) -> Book {
    let mut book = Book::default();
    for event in events {
        book.follow(&event).unwrap();
    }
    book
}

#[test]
fn what_is_reserved_is_reserved_whole() {
    let state = network();
    let mut in_part = book([made()]);
    let broken = in_part.close(at(0), &state);
    assert!(
        matches!(broken, Err(Broken::BookedInPart(ID))),
        "{broken:?}"
    );
    let mut whole = book([made(), claimed()]);
    whole.close(at(0), &state).unwrap();
    assert_eq!(whole.counts.made, 1);
}

#[test]
fn a_reservation_gets_what_was_kept_for_it_by_nodes_that_are_there() {
    let with = |node| {
        let events = [made(), claimed()].into_iter().chain(begun());
        book(events.chain([granted(node, 100)]))
    };
    with(NODE).close(at(100), &network()).unwrap();
    let other = NodeKey([9; 32]);
    let broken = with(other).close(at(100), &network());
    assert!(
        matches!(broken, Err(Broken::NotGiven(ID, NODE))),
        "{broken:?}"
    );
    // A node that is gone can give nothing.
    with(other).close(at(100), &State::default()).unwrap();
}

#[test]
fn nothing_costs_more_than_its_tenant_said() {
    let mut book = book([made(), claimed()].into_iter().chain(begun()));
    let broken = book.follow(&granted(NODE, 101));
    assert!(matches!(broken, Err(Broken::Dearer { .. })), "{broken:?}");
}

#[test]
fn what_is_due_is_done() {
    let mut known = Network::new(network());
    let mut book = book([made(), claimed()]);
    let broken = book.check(None, known.state());
    assert!(matches!(broken, Err(Broken::Unkept(ID))), "{broken:?}");
    known.commit(at(0), CommandId::from_u128(1), &[made()]);
    book.check(None, known.state()).unwrap();
    book.check(Some(at(100)), known.state()).unwrap();
    let broken = book.check(Some(at(101)), known.state());
    assert!(matches!(broken, Err(Broken::Overdue(ID))), "{broken:?}");
    for event in begun() {
        book.follow(&event).unwrap();
    }
    book.check(Some(at(1_000)), known.state()).unwrap();
    let broken = book.check(Some(at(1_001)), known.state());
    assert!(matches!(broken, Err(Broken::Overdue(ID))), "{broken:?}");
}

#[test]
fn an_order_is_filled_whole() {
    let mut book = Book::default();
    book.expect_order(ID, 2, Span::HOUR);
    for event in [accepted(), begun()[2].clone(), granted(NODE, 50)] {
        book.follow(&event).unwrap();
    }
    assert_eq!(book.filled, [(ID, Span::HOUR)]);
    let broken = book.close(at(100), &network());
    assert!(
        matches!(broken, Err(Broken::BookedInPart(ID))),
        "{broken:?}"
    );
}
