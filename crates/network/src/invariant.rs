//! What is always true of a network. Property tests and the simulator check it after every step.

mod claims;
mod shares;

use std::collections::BTreeSet;

use remuda_ledger::Account;
use remuda_types::{
    ClaimId, LeaseId, Money, NodeKey, ProviderId, ReplicaId, Shape, Together, TransferId,
    WorkloadId,
};

use crate::Network;
use crate::event::Event;
use crate::index::Index;
use crate::state::{Lease, Node, Phase, Presence, Replica, State, Workload};

/// What was found untrue.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the message says it")]
pub enum Violation {
    #[error("the ledger: {0}")]
    Ledger(#[from] remuda_ledger::Violation),
    #[error("workload {0} has more replicas with one owner or at one site than it may")]
    OverShare(WorkloadId),
    #[error("workload {0} is to stand on one fabric and does not")]
    SplitGang(WorkloadId),
    #[error("lease {0} and its replica, workload or node do not point at each other")]
    Dangling(LeaseId),
    #[error("lease {0} is its replica's no more, but does not drain: nothing will end it")]
    Leaked(LeaseId),
    #[error("replica {0} and its workload do not point at each other")]
    Stray(ReplicaId),
    #[error("replica {0} is to run, has no lease and waits for none, or waits though it has one")]
    Waiting(ReplicaId),
    #[error("node {0} is gone and still has leases")]
    Haunted(NodeKey),
    #[error("{0} is set aside for no lease and no tranche")]
    StrayReservation(TransferId),
    #[error("lease {lease} says {says} USD are reserved, the ledger {pending}")]
    Reservation {
        lease: LeaseId,
        says: Money,
        pending: Money,
    },
    #[error("tranches: {says} USD are left, the ledger has {pending}")]
    Tranche { says: Money, pending: Money },
    #[error(
        "provider {provider}: the holdback's buckets sum to {buckets} USD, the account has {account}"
    )]
    Holdback {
        provider: ProviderId,
        buckets: Money,
        account: Money,
    },
    #[error("a node's leases ask {0:?}, more than it has")]
    OverCommitted(Shape),
    #[error("claim {0} is for no workload that runs, or keeps nothing and waits for nothing")]
    StrayClaim(ClaimId),
    #[error("node {0} has not all that is sold under a promise and claimed, or sold in all")]
    OverClaimed(NodeKey),
    #[error("the index differs from one built anew from the state")]
    Index,
}

/// Checks everything; linear in the state.
pub fn check(network: &Network) -> Result<(), Violation> {
    let state = network.state();
    check_state(state)?;
    if *network.index() == Index::rebuild(state) && network.index().has_true_gaps() {
        Ok(())
    } else {
        Err(Violation::Index)
    }
}

/// Checks all but the index, which is derived; linear in the state.
pub fn check_state(state: &State) -> Result<(), Violation> {
    remuda_ledger::invariant::check(&state.ledger)?;
    check_links(state)?;
    shares::check(state)?;
    check_gangs(state)?;
    check_reservations(state)?;
    check_purposes(state)?;
    check_holdback(state)?;
    check_capacity(state)?;
    claims::check(state)
}

/// Checks what is true of what a batch did, in the state that it left, and of no state alone.
pub fn check_batch(state: &State, events: &[Event]) -> Result<(), Violation> {
    shares::check_grants(state, events)
}

fn check_links(state: &State) -> Result<(), Violation> {
    for (id, lease) in &state.leases {
        check_lease(state, *id, lease)?;
    }
    for (id, node) in &state.nodes {
        check_node(state, *id, node)?;
    }
    for (id, replica) in &state.replicas {
        check_replica(state, *id, replica)?;
    }
    let listed = state.workloads.values().flat_map(|w| &w.replicas);
    let mut unknown = listed.filter(|id| !state.replicas.contains_key(id));
    unknown
        .next()
        .map_or(Ok(()), |id| Err(Violation::Stray(*id)))
}

fn check_lease(state: &State, id: LeaseId, lease: &Lease) -> Result<(), Violation> {
    let node = state.nodes.get(&lease.node);
    let on_node = node.is_some_and(|node| node.leases.contains(&id));
    if !on_node || !state.workloads.contains_key(&lease.workload) {
        return Err(Violation::Dangling(id));
    }
    let replica = state.replicas.get(&lease.replica);
    let has = |replica: &Replica| replica.lease == Some(id) || replica.successor == Some(id);
    if replica.is_some_and(has) || matches!(lease.phase, Phase::Draining(_)) {
        Ok(())
    } else {
        Err(Violation::Leaked(id))
    }
}

fn check_node(state: &State, id: NodeKey, node: &Node) -> Result<(), Violation> {
    for lease in &node.leases {
        if state.leases.get(lease).is_none_or(|lease| lease.node != id) {
            return Err(Violation::Dangling(*lease));
        }
    }
    match node.presence {
        Presence::Away(_) | Presence::Lost(_) | Presence::Left(_) if !node.leases.is_empty() => {
            Err(Violation::Haunted(id))
        }
        Presence::Away(_)
        | Presence::Up(_)
        | Presence::Suspect(_)
        | Presence::Draining(_)
        | Presence::Lost(_)
        | Presence::Left(_) => Ok(()),
    }
}

fn check_replica(state: &State, id: ReplicaId, replica: &Replica) -> Result<(), Violation> {
    for lease in replica.lease.into_iter().chain(replica.successor) {
        if state
            .leases
            .get(&lease)
            .is_none_or(|lease| lease.replica != id)
        {
            return Err(Violation::Dangling(lease));
        }
    }
    let workload = state.workloads.get(&replica.workload);
    let Some(workload) = workload.filter(|workload| workload.replicas.contains(&id)) else {
        return Err(Violation::Stray(id));
    };
    let waits = replica.retry.is_some();
    let is_held = replica.lease.is_some();
    if workload.stopping || waits != is_held {
        Ok(())
    } else {
        Err(Violation::Waiting(id))
    }
}

/// All replicas of a gang are on one fabric, those included that are on their way.
fn check_gangs(state: &State) -> Result<(), Violation> {
    let is_gang = |of: &Workload| of.terms.together == Together::Fabric && of.replicas.len() > 1;
    for (id, workload) in state.workloads.iter().filter(|(_, of)| is_gang(of)) {
        let replicas = workload.replicas.iter();
        let replicas = replicas.filter_map(|id| state.replicas.get(id));
        let leases = replicas.flat_map(|of| of.lease.into_iter().chain(of.successor));
        let nodes = leases.filter_map(|id| state.leases.get(&id).map(|lease| lease.node));
        let fabrics: BTreeSet<_> = nodes.map(|node| state.cell_of(node)).collect();
        if fabrics.len() > 1 {
            return Err(Violation::SplitGang(*id));
        }
    }
    Ok(())
}

fn check_reservations(state: &State) -> Result<(), Violation> {
    let pending_of = |id| {
        state
            .ledger
            .pending(id)
            .map_or(Money::ZERO, |pending| pending.amount)
    };
    for (id, lease) in &state.leases {
        let pending = pending_of(lease.reservation);
        if pending != lease.reserved {
            return Err(Violation::Reservation {
                lease: *id,
                says: lease.reserved,
                pending,
            });
        }
    }
    for tranche in state.tranches.values() {
        let pending = pending_of(tranche.reservation);
        if pending != tranche.left {
            return Err(Violation::Tranche {
                says: tranche.left,
                pending,
            });
        }
    }
    Ok(())
}

/// Money is set aside for nothing else.
fn check_purposes(state: &State) -> Result<(), Violation> {
    let leases = state.leases.values().map(|lease| lease.reservation);
    let tranches = state.tranches.values().map(|tranche| tranche.reservation);
    let known: BTreeSet<_> = leases.chain(tranches).collect();
    let mut open = state.ledger.reservations().map(|(id, _)| id);
    open.find(|id| !known.contains(id))
        .map_or(Ok(()), |id| Err(Violation::StrayReservation(id)))
}

fn check_holdback(state: &State) -> Result<(), Violation> {
    for (id, provider) in &state.providers {
        let buckets = provider
            .held
            .values()
            .fold(Money::ZERO, |sum, held| sum.saturating_add(*held));
        let account = state.ledger.balance(Account::ProviderHeld(*id)).posted;
        if buckets != account {
            return Err(Violation::Holdback {
                provider: *id,
                buckets,
                account,
            });
        }
    }
    Ok(())
}

fn check_capacity(state: &State) -> Result<(), Violation> {
    for node in state.nodes.values() {
        let mut asked = Shape::default();
        for lease in node.leases.iter().filter_map(|id| state.leases.get(id)) {
            asked.gpu_milli = asked.gpu_milli.saturating_add(lease.shape.gpu_milli);
            asked.cpu_milli = asked.cpu_milli.saturating_add(lease.shape.cpu_milli);
            asked.memory_mib = asked.memory_mib.saturating_add(lease.shape.memory_mib);
            asked.disk_mib = asked.disk_mib.saturating_add(lease.shape.disk_mib);
        }
        let has = node.capacity;
        if asked.gpu_milli > u64::from(has.gpus) * 1_000
            || asked.cpu_milli > has.cpu_milli
            || asked.memory_mib > has.memory_mib
            || asked.disk_mib > has.disk_mib
        {
            return Err(Violation::OverCommitted(asked));
        }
    }
    Ok(())
}
