//! What the clock brings about, and when the state says that it is due. How that is kept in order does
//! not belong here: see `dues`.

use remuda_types::{ClaimId, LeaseId, NodeKey, ProviderId, ReplicaId, Time, TrancheId, WorkloadId};

use crate::state::{Replica, Standing, State};

/// Something the clock brings about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Due {
    /// A lease's slice ends, its drain is over or its hard end passes.
    Lease(LeaseId),
    /// A replica is to be placed again.
    Replica(ReplicaId),
    /// What is left of a tranche is to be voided.
    Tranche(TrancheId),
    /// Held earnings are to be released, or a provider's notice is over.
    Provider(ProviderId),
    /// A draining node still has leases without successors.
    Node(NodeKey),
    /// An ended lease may be forgotten.
    Ended(LeaseId),
    /// A claim is to find a node.
    Claim(ClaimId),
    /// A reservation is to begin, or its time is over.
    Reservation(WorkloadId),
    /// A standing order is to be tried again, or its time is over.
    Order(WorkloadId),
}

/// When it is due, as the state has it; nothing where it never is.
pub(super) fn due_at(state: &State, due: Due) -> Option<Time> {
    match due {
        Due::Lease(id) => state.leases.get(&id).map(|lease| {
            let at = lease.stops_by().min(lease.slice_end);
            let gives_up = lease.gives_up_at(&state.policy);
            gives_up.map_or(at, |gives_up| gives_up.min(at))
        }),
        Due::Replica(id) => state
            .replicas
            .get(&id)
            .filter(|replica| replica.retry.is_some() && is_wanted(state, replica))
            .and_then(|replica| replica.retry),
        Due::Tranche(id) => state
            .tranches
            .get(&id)
            .map(|tranche| tranche.deadline + state.policy.post_grace),
        Due::Provider(id) => state.providers.get(&id).and_then(|provider| {
            let held = state
                .policy
                .holdback
                .saturating_add(state.policy.holdback_bucket);
            let release = provider
                .held
                .first_key_value()
                .map(|(bucket, _)| *bucket + held);
            let leave = match provider.standing {
                Standing::Leaving(at) => Some(at),
                Standing::Active | Standing::Left(_) => None,
            };
            release.into_iter().chain(leave).min()
        }),
        Due::Node(id) => {
            let node = state.nodes.get(&id);
            node.and_then(|node| node.drain_due(state.policy.drain_retry))
        }
        Due::Reservation(id) => state.reservations.get(&id).map(|reservation| {
            if reservation.begun {
                reservation.to
            } else {
                reservation.from
            }
        }),
        Due::Order(id) => {
            let order = state.orders.get(&id);
            order.map(|order| order.retry.min(order.until))
        }
        Due::Claim(id) => state.claims.get(&id).and_then(|claim| claim.retry),
        Due::Ended(id) => state.ended_leases.get(&id).map(|lease| {
            lease.ended
                + state.policy.tranche_ttl
                + state.policy.post_grace
                + state.policy.clock_drift
        }),
    }
}

/// Whether a replica that has no lease is to get one.
fn is_wanted(state: &State, replica: &Replica) -> bool {
    let workload = state.workloads.get(&replica.workload);
    workload.is_some_and(|workload| !workload.stopping)
}
