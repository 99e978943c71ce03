//! Replicas that move to where they would be put today, in the way in which those of a node that
//! drains do: the old lease serves until its successor does.
//!
//! Only what can be in two places for a moment moves: services and models. What is not ready, has a
//! successor already, or is on a node that is not well, is left alone.

use remuda_placement::Held;
use remuda_types::{LeaseId, WorkloadId, WorkloadKind};

use super::draft::Draft;
use super::lease::{self, Grant};
use crate::repack::looked_at;
use crate::state::{Lease, Phase, Replica, Workload};

/// Grants successors to those of some leases that gain most by moving.
pub(super) fn repack(draft: &mut Draft<'_>, from: LeaseId) {
    let policy = &draft.state.policy;
    let scales = policy.repack.scales(policy.migration_cost);
    let looked_at = looked_at(draft.state, from);
    let held: Vec<_> = looked_at
        .filter_map(|(id, held)| candidate(draft, id, held))
        .collect();
    for made in remuda_placement::repack(draft.index.fleet.now(), &held, &scales) {
        let Some((held, replica, workload)) = parties(draft, made.handle) else {
            continue;
        };
        let of = Grant {
            workload: held.workload,
            project: held.project,
            replica: held.replica,
            terms: &workload.terms,
            epoch: replica.epoch,
            succeeds: true,
        };
        // Without money for two leases at once it stays where it is.
        let _granted = lease::grant(draft, &of, &made.to).is_ok();
    }
}

fn parties<'a>(draft: &Draft<'a>, id: LeaseId) -> Option<(&'a Lease, &'a Replica, &'a Workload)> {
    let state = draft.state;
    let held = state.leases.get(&id)?;
    let replica = state.replicas.get(&held.replica)?;
    let workload = state.workloads.get(&held.workload)?;
    Some((held, replica, workload))
}

/// A lease as placement weighs it, if its replica may move.
fn candidate(draft: &Draft<'_>, id: LeaseId, held: &Lease) -> Option<Held<LeaseId, WorkloadId>> {
    let (_, replica, workload) = parties(draft, id)?;
    let node = draft.state.nodes.get(&held.node)?;
    let stays = replica.lease == Some(id) && replica.successor.is_none() && !workload.stopping;
    let can_move = matches!(
        workload.terms.kind,
        WorkloadKind::Service | WorkloadKind::Model
    );
    // What was booked for it is where it is.
    let is_booked = draft.index.claim_of(draft.state, held).is_some();
    if held.phase != Phase::Ready || !node.presence.is_open() || !stays || !can_move || is_booked {
        return None;
    }
    let of = (held.workload, &workload.terms);
    let request = lease::request(draft, of, workload.replica_count(), Some(held.replica)).ok()?;
    Some(Held {
        handle: id,
        group: held.workload,
        request,
        node: held.node,
        price: held.price,
    })
}
