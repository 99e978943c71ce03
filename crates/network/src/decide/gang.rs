//! Gangs: workloads whose replicas must stand on one fabric. Which fabric, where there is a choice.
//!
//! As long as one replica has a lease, its fabric is that of all: another replica goes there or
//! waits. Only when none has any is a fabric chosen, and then one that has room for all. What does
//! not belong here: the search for nodes on it.

use remuda_placement::{Cell, Replicas, Request};
use remuda_types::{NodeKey, ReplicaId, Together, WorkloadId};

use super::draft::Draft;
use crate::index::Layer;
use crate::refusal::Refusal;
use crate::state::{Terms, Workload};

/// The fabric that one more replica of a workload must stand on, if it must; `except` is where it
/// is one that there is already. The only replica of a workload may go anywhere.
pub(super) fn fabric_of(
    draft: &Draft<'_>,
    workload: WorkloadId,
    terms: &Terms,
    except: Option<ReplicaId>,
) -> Option<Cell> {
    if terms.together == Together::Anywhere {
        return None;
    }
    let of = draft.state.workloads.get(&workload);
    if except.is_some() && of.is_some_and(|of| of.replicas.len() == 1) {
        return None;
    }
    let mut granted = draft.granted_to(workload).map(|granted| granted.node);
    let held = || draft.leases_of(workload).next().map(|(_, of)| of.node);
    let node = granted.next().or_else(held);
    let node = node.or_else(|| reserved_on(draft, workload))?;
    draft.state.cell_of(node)
}

/// A node that is kept for a reservation.
fn reserved_on(draft: &Draft<'_>, workload: WorkloadId) -> Option<NodeKey> {
    let reservation = draft.state.reservations.get(&workload)?;
    let kept = reservation
        .claims
        .iter()
        .filter(|id| !draft.disposed_of(**id));
    let mut places = kept.filter_map(|id| draft.state.claims.get(id)?.place);
    let claimed = places.next().map(|place| place.node);
    claimed.or_else(|| draft.claimed_for(workload).next())
}

/// Whether a node is where the request must go.
pub(super) fn is_there(draft: &Draft<'_>, wanted: &Request, node: NodeKey) -> bool {
    let fabric = wanted.fabric;
    fabric.is_none_or(|fabric| draft.state.cell_of(node) == Some(fabric))
}

/// Chooses a fabric for a gang of which no replica is anywhere: one that has room for all of it.
/// Says whether the request may go on: it is of no gang, it is known where, or it is now.
pub(super) fn settle(
    draft: &mut Draft<'_>,
    terms: &Terms,
    members: usize,
    wanted: &mut Request,
) -> bool {
    if wanted.together == Together::Anywhere || wanted.fabric.is_some() || members <= 1 {
        return true;
    }
    let members = u32::try_from(members).unwrap_or(u32::MAX);
    let Ok(group) = Replicas::new(members) else {
        return false;
    };
    if let Some(any) = fabrics(draft, terms, wanted, group).first().copied() {
        wanted.fabric = free(draft, wanted, group).or(Some(any));
    }
    wanted.fabric.is_some()
}

/// Whether a replica that lost its place is to look for one. Of a gang that is nowhere one does, for
/// all: to look for a fabric takes a look at all of them.
pub(super) fn has_turn(workload: &Workload, replica: ReplicaId, wanted: &Request) -> bool {
    let is_somewhere = wanted.together == Together::Anywhere || wanted.fabric.is_some();
    is_somewhere || workload.replicas.first() == Some(&replica)
}

/// The fabric where all of it costs least, of those that are free for it.
fn free(draft: &mut Draft<'_>, wanted: &Request, group: Replicas) -> Option<Cell> {
    let found = remuda_placement::find_group(draft.index.fleet.now(), wanted, group);
    let found = found.ok().flatten()?;
    draft.state.cell_of(found.first()?.node)
}

/// The fabrics that have room for all of a gang, what may be had for the tier though it is not free
/// counted.
pub(super) fn fabrics(
    draft: &mut Draft<'_>,
    terms: &Terms,
    wanted: &Request,
    group: Replicas,
) -> Vec<Cell> {
    let index = &mut *draft.index;
    let instead = index.layers.of(Layer::of(terms.tier));
    remuda_placement::fabrics_with_room((&*index.fleet.now(), instead), wanted, group)
}

/// Refuses to add to a gang whose only replica is on its way to another fabric: nobody knows yet
/// where it will be.
pub(super) fn check_rests(draft: &Draft<'_>, workload: &Workload) -> Result<(), Refusal> {
    let replicas = workload.replicas.iter();
    let replicas = replicas.filter_map(|id| draft.state.replicas.get(id));
    let moves = replicas
        .filter_map(|replica| Some((replica.lease?, replica.successor?)))
        .any(|(from, to)| {
            let on = |lease| draft.state.cell_of(draft.state.leases.get(lease)?.node);
            on(&from) != on(&to)
        });
    if moves && workload.terms.together == Together::Fabric {
        return Err(Refusal::WrongState {
            kind: "the workload",
            state: "moving to another fabric",
            way_out: "scale it again when it has moved",
        });
    }
    Ok(())
}
