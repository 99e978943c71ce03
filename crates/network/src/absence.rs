//! Control's own absence: how much of it a node is paid for.
//!
//! What was served while control was away only the nodes saw. One that is heard again says since
//! when its replicas are ready and when it stood still; what it does not vouch for is not charged.

use remuda_types::{LeaseId, NodeKey, Span, Time};

use crate::state::{Lease, Phase, State};

/// A time in which somebody was not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Since when.
    pub from: Time,
    /// Until when.
    pub to: Time,
}

/// A node's own word on the time in which control was away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Testimony {
    /// The leases whose replicas are ready, and since when they are.
    pub ready: Vec<(LeaseId, Time)>,
    /// When it stood still.
    pub pauses: Vec<Gap>,
}

/// Up to when a node is paid; nothing where it is paid for all of control's absence.
///
/// `away` begins with the last that the journal knows and ends when the node is heard again. A node
/// that did not serve all along what it is believed to serve is paid up to its beginning; one that
/// stood still at times, for so much less.
pub fn served_until(state: &State, node: NodeKey, away: Gap, told: &Testimony) -> Option<Time> {
    let all_along = |lease| was_ready(&told.ready, lease, away.from);
    if !believed(state, node).all(|(lease, _)| all_along(lease)) {
        return Some(away.from);
    }
    let stood_still = stood_still(&told.pauses, away.from);
    (stood_still > Span::ZERO).then(|| away.from.max(away.to - stood_still))
}

/// The leases that a node is believed to serve: they are ready, or were before it fell silent.
pub fn believed(state: &State, node: NodeKey) -> impl Iterator<Item = (LeaseId, &Lease)> {
    let node = state.nodes.get(&node).into_iter();
    let leases = node.flat_map(|node| &node.leases);
    let leases = leases.filter_map(|id| state.leases.get(id).map(|lease| (*id, lease)));
    leases.filter(|(_, lease)| matches!(lease.phase, Phase::Ready | Phase::Suspect))
}

/// Whether a lease's replica has been ready since `from` or longer.
fn was_ready(ready: &[(LeaseId, Time)], lease: LeaseId, from: Time) -> bool {
    let mut ready = ready.iter();
    ready.any(|(id, since)| *id == lease && *since <= from)
}

/// How much of these pauses lies after `from`.
fn stood_still(pauses: &[Gap], from: Time) -> Span {
    let after = |pause: &Gap| pause.to.since(pause.from.max(from));
    let spans = pauses.iter().map(after);
    spans.fold(Span::ZERO, Span::saturating_add)
}

#[cfg(test)]
mod tests {
    use remuda_types::{
        Capacity, Class, Money, Price, ProjectId, ProviderId, ReplicaId, Shape, SiteId, Table,
        TransferId, WorkloadId,
    };

    use super::*;
    use crate::state::{Meter, Node, Presence};

    const NODE: NodeKey = NodeKey([1; 32]);
    const AWAY: Gap = gap(100_000, 160_000);

    const fn gap(from: u64, to: u64) -> Gap {
        let (from, to) = (Time::from_millis(from), Time::from_millis(to));
        Gap { from, to }
    }

    const fn lease_id(n: u128) -> LeaseId {
        LeaseId::from_u128(n)
    }

    fn lease(phase: Phase) -> Lease {
        Lease {
            replica: ReplicaId::from_u128(1),
            workload: WorkloadId::from_u128(1),
            project: ProjectId::from_u128(1),
            node: NODE,
            provider: ProviderId::from_u128(1),
            site: SiteId::from_u128(1),
            shape: Shape::default(),
            price: Price::default(),
            epoch: 1,
            granted: Time::EPOCH,
            hard_end: Time::FOREVER,
            phase,
            meter: Meter::default(),
            reservation: TransferId::from_u128(1),
            reserved: Money::ZERO,
            slice_end: Time::FOREVER,
            slice: 0,
            gpu_bits: 0,
            failing: false,
            charged: None,
            unready: Time::EPOCH,
        }
    }

    /// A node with one lease in each of these phases, numbered from zero.
    fn holding(phases: &[Phase]) -> State {
        let ids = (0..).map(lease_id);
        let leases: Table<_, _> = ids.zip(phases.iter().copied().map(lease)).collect();
        let node = Node {
            provider: ProviderId::from_u128(1),
            site: SiteId::from_u128(1),
            class: Class::CPU,
            capacity: Capacity::default(),
            price: Price::default(),
            enrolled: Time::EPOCH,
            presence: Presence::Up(Time::EPOCH),
            leases: leases.keys().copied().collect(),
            drain_tried: None,
            silent_since: None,
            leaves: false,
        };
        State {
            nodes: Table::from([(NODE, node)]),
            leases,
            ..State::default()
        }
    }

    fn told(ready: &[(u128, u64)], pauses: &[Gap]) -> Testimony {
        let ready = ready.iter();
        let ready = ready.map(|(n, since)| (lease_id(*n), Time::from_millis(*since)));
        Testimony {
            ready: ready.collect(),
            pauses: pauses.to_vec(),
        }
    }

    /// Up to when, in milliseconds.
    fn served(state: &State, ready: &[(u128, u64)], pauses: &[Gap]) -> Option<u64> {
        served_until(state, NODE, AWAY, &told(ready, pauses)).map(Time::as_millis)
    }

    #[test]
    fn what_was_ready_all_along_is_paid_in_full() {
        let state = holding(&[Phase::Ready, Phase::Suspect]);
        assert_eq!(served(&state, &[(0, 100_000), (1, 7)], &[]), None);
        assert_eq!(served(&state, &[(0, 5), (1, 7), (2, 150_000)], &[]), None);
    }

    #[test]
    fn one_replica_that_was_not_ready_all_along_costs_all_of_the_absence() {
        let state = holding(&[Phase::Ready, Phase::Suspect]);
        let pause = [gap(120_000, 121_000)];
        assert_eq!(served(&state, &[], &[]), Some(100_000));
        assert_eq!(served(&state, &[(0, 5)], &[]), Some(100_000), "not told of");
        assert_eq!(served(&state, &[(0, 5)], &pause), Some(100_000));
        let anew = [(0, 5), (1, 100_001)];
        assert_eq!(served(&state, &anew, &[]), Some(100_000), "started anew");
    }

    #[test]
    fn what_is_not_believed_to_serve_need_not_have() {
        let draining = Phase::Draining(Time::FOREVER);
        let state = holding(&[Phase::Placed, Phase::Preparing, Phase::Starting, draining]);
        assert_eq!(served(&state, &[], &[]), None);
        assert_eq!(served(&State::default(), &[], &[]), None, "an unknown node");
    }

    #[test]
    fn a_node_that_stood_still_is_paid_for_so_much_less() {
        let state = holding(&[Phase::Ready]);
        let served = |pauses: &[Gap]| served(&state, &[(0, 5)], pauses);
        assert_eq!(served(&[gap(120_000, 123_000)]), Some(157_000));
        let twice = [gap(120_000, 123_000), gap(156_000, 160_000)];
        assert_eq!(served(&twice), Some(153_000));
        assert_eq!(served(&[gap(90_000, 90_000), gap(120_000, 120_000)]), None);
        assert_eq!(served(&[gap(0, 160_000); 2]), Some(100_000), "never less");
    }

    #[test]
    fn of_a_nodes_pauses_only_what_lies_after_the_journals_last_counts() {
        let still = |pauses: &[Gap]| stood_still(pauses, AWAY.from).as_millis();
        assert_eq!(still(&[]), 0);
        let heard = gap(85_000, 90_000);
        assert_eq!(still(&[heard]), 0, "control was there and heard it");
        assert_eq!(still(&[gap(97_000, 102_000)]), 2_000, "in part");
        assert_eq!(
            still(&[gap(117_000, 120_000), gap(156_000, 160_000)]),
            7_000
        );
        assert_eq!(still(&[gap(0, 160_000), gap(0, 0)]), 60_000);
    }
}
