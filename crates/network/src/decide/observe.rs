//! What nodes see of their replicas.

use remuda_types::{LeaseId, NodeKey, ReplicaId, Time, WorkloadId, WorkloadKind};

use super::draft::Draft;
use super::lease;
use crate::command::ObservedPhase;
use crate::event::Event;
use crate::refusal::Refusal;
use crate::state::{EndReason, Lease, Phase, Workload};

pub(super) fn observe(
    draft: &mut Draft<'_>,
    node: NodeKey,
    (id, epoch): (LeaseId, u64),
    (observed, since): (ObservedPhase, Time),
) -> Result<(), Refusal> {
    let Some(held) = draft.state.leases.get(&id) else {
        // Ended here already: the node will be told so by its next assignment.
        return Ok(());
    };
    if held.node != node {
        return Err(Refusal::NotYours {
            kind: "the lease",
            owner: "node",
        });
    }
    if held.epoch != epoch {
        return Err(Refusal::StaleEpoch {
            given: epoch,
            current: held.epoch,
        });
    }
    let silent = draft
        .state
        .nodes
        .get(&node)
        .is_some_and(|node| node.last_seen().is_some());
    match observed {
        ObservedPhase::Preparing => phase(draft, id, held, Phase::Preparing),
        ObservedPhase::Starting => phase(draft, id, held, Phase::Starting),
        // A node under suspicion is believed when it is cleared; it then says it again.
        ObservedPhase::Ready | ObservedPhase::Unhealthy if silent => {}
        ObservedPhase::Ready => ready(draft, id, held),
        ObservedPhase::Unhealthy => phase(draft, id, held, Phase::Suspect),
        ObservedPhase::Ended(reason) => {
            check_reason(reason)?;
            ended(draft, id, held, (reason, since));
        }
    }
    Ok(())
}

/// What only control can know, a node cannot have seen.
fn check_reason(reason: EndReason) -> Result<(), Refusal> {
    match reason {
        EndReason::Stopped
        | EndReason::Completed
        | EndReason::Crashed
        | EndReason::OutOfMemory
        | EndReason::PrepareFailed
        | EndReason::NeverReady
        | EndReason::RuntimeRefused
        | EndReason::NodeRestarted
        | EndReason::TermOver => Ok(()),
        EndReason::NodeLost
        | EndReason::Drained
        | EndReason::ProviderLeft
        | EndReason::BudgetExhausted
        | EndReason::GaveWay => Err(Refusal::Invalid {
            field: "observed",
            problem: format!("`{}` is not an end that a node can see", reason.as_str()),
        }),
    }
}

/// Notes a phase, unless the lease drains (what it then does is finish) or is there already.
fn phase(draft: &mut Draft<'_>, id: LeaseId, held: &Lease, phase: Phase) {
    if held.phase != phase && !matches!(held.phase, Phase::Draining(_)) {
        draft.push(Event::LeasePhased {
            lease: id,
            phase,
            at: draft.now,
        });
    }
}

fn ready(draft: &mut Draft<'_>, id: LeaseId, held: &Lease) {
    phase(draft, id, held, Phase::Ready);
    let replica = draft.state.replicas.get(&held.replica);
    if replica.is_none_or(|replica| replica.successor != Some(id)) {
        return;
    }
    draft.push(Event::ReplicaMoved {
        replica: held.replica,
    });
    let old = replica.and_then(|replica| replica.lease);
    if let Some((old, held)) = old.and_then(|old| Some((old, draft.state.leases.get(&old)?))) {
        lease::drain(draft, old, held, EndReason::Drained);
    }
}

/// What a node says of when it was can only make it earn less: nothing before the grant or after now
/// is believed.
fn ended(draft: &mut Draft<'_>, id: LeaseId, held: &Lease, (reason, since): (EndReason, Time)) {
    let reason = match held.phase {
        // What ends while it drains ended as wished, however its program said goodbye.
        Phase::Draining(_) => drained(draft, held),
        Phase::Placed | Phase::Preparing | Phase::Starting | Phase::Ready | Phase::Suspect => {
            reason
        }
    };
    lease::end(draft, id, held, reason, since.max(held.granted));
    after_end(draft, held, reason);
}

/// Why a lease that has drained did so: its tenant wanted no more of it, or its replica moved.
pub(super) fn drained(draft: &Draft<'_>, held: &Lease) -> EndReason {
    let wanted = draft.state.replicas.contains_key(&held.replica) && !stopping(draft, held);
    if wanted {
        EndReason::Drained
    } else {
        EndReason::Stopped
    }
}

fn stopping(draft: &Draft<'_>, held: &Lease) -> bool {
    let workload = draft.state.workloads.get(&held.workload);
    workload.is_none_or(|workload| workload.stopping)
}

/// What follows an ended lease: another for its replica, or the workload's end.
///
/// Whatever the reason, a replica that is to run and has no lease left gets another, now or later.
pub(super) fn after_end(draft: &mut Draft<'_>, held: &Lease, reason: EndReason) {
    let Some(workload) = draft.state.workloads.get(&held.workload) else {
        return;
    };
    if workload.stopping {
        end_workload_if_idle(draft, held.workload);
    } else if reason == EndReason::Completed && ends_by_itself(workload.terms.kind) {
        complete(draft, held.workload, workload, held.replica);
    } else {
        lease::replace(draft, held.replica, held.node, reason);
    }
}

/// Whether success is the end of it. A server that ends is one that should run and does not.
const fn ends_by_itself(kind: WorkloadKind) -> bool {
    match kind {
        WorkloadKind::Job | WorkloadKind::Machine | WorkloadKind::Session => true,
        WorkloadKind::Service | WorkloadKind::Model => false,
    }
}

/// A replica whose program ended well is done; the workload ends with its last one.
fn complete(draft: &mut Draft<'_>, id: WorkloadId, workload: &Workload, replica: ReplicaId) {
    if workload.replicas.contains(&replica) && workload.replicas.len() == 1 {
        draft.push(Event::WorkloadStopping { workload: id });
        draft.recount(id);
        end_leases(draft, id);
        end_workload_if_idle(draft, id);
    } else {
        remove_replica(draft, replica);
    }
}

/// Lets every lease of a workload that is to end finish what it has.
pub(super) fn end_leases(draft: &mut Draft<'_>, id: WorkloadId) {
    let leases: Vec<_> = draft.live_leases(id).collect();
    for (lease_id, held) in leases {
        lease::drain(draft, lease_id, held, EndReason::Stopped);
    }
}

/// Takes a replica out of its workload; its leases finish what they have.
pub(super) fn remove_replica(draft: &mut Draft<'_>, id: ReplicaId) {
    let Some(replica) = draft.state.replicas.get(&id) else {
        return;
    };
    let leases = replica.lease.into_iter().chain(replica.successor);
    for lease_id in leases
        .filter(|lease| !draft.ends(*lease))
        .collect::<Vec<_>>()
    {
        if let Some(held) = draft.state.leases.get(&lease_id) {
            lease::drain(draft, lease_id, held, EndReason::Stopped);
        }
    }
    draft.push(Event::ReplicaRemoved { replica: id });
    draft.recount(replica.workload);
}

/// A workload that is to end does so with its last lease.
pub(super) fn end_workload_if_idle(draft: &mut Draft<'_>, id: WorkloadId) {
    if draft.live_leases(id).next().is_none() {
        draft.end_workload(id);
    }
}
