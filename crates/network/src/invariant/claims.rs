//! Claims: each for a workload that runs or is reserved, and on a node beside what was sold there
//! under a promise.

use std::collections::BTreeMap;

use remuda_placement::{Amounts, Booking, Calendar, GpuSet};
use remuda_types::{Capacity, ClaimId, NodeKey, Shape};

use super::Violation;
use crate::index::Layer;
use crate::state::{Claim, Node, Presence, State};

pub(super) fn check(state: &State) -> Result<(), Violation> {
    let mut claims = state.claims.iter();
    if let Some((id, _)) = claims.find(|(id, claim)| is_stray(state, **id, claim)) {
        return Err(Violation::StrayClaim(*id));
    }
    let listed = state.reservations.values().flat_map(|of| &of.claims);
    let mut unknown = listed.filter(|id| !state.claims.contains_key(id));
    if let Some(id) = unknown.next() {
        return Err(Violation::StrayClaim(*id));
    }
    check_layers(state)
}

fn is_stray(state: &State, id: ClaimId, claim: &Claim) -> bool {
    let workload = state.workloads.get(&claim.workload);
    let runs = workload.is_some_and(|workload| !workload.stopping);
    let reservation = state.reservations.get(&claim.workload);
    let wanted = reservation.map_or(runs && claim.replica.is_none(), |reservation| {
        reservation.claims.contains(&id) && workload.is_some() == reservation.begun
    });
    let waits = claim.retry.is_some() && claim.place.is_none();
    let on = claim.place.and_then(|place| state.nodes.get(&place.node));
    !wanted || !(waits || on.is_some_and(keeps)) || !is_begun_by_a_lease(state, claim)
}

/// Whether the replica that a claim names has a lease there.
fn is_begun_by_a_lease(state: &State, claim: &Claim) -> bool {
    let (Some(id), Some(place)) = (claim.replica, claim.place) else {
        return claim.replica.is_none();
    };
    let node = state.nodes.get(&place.node).into_iter();
    let leases = node.flat_map(|node| &node.leases);
    let mut leases = leases.filter_map(|lease| state.leases.get(lease));
    leases.any(|lease| lease.replica == id && lease.gpu_bits == place.gpu_bits)
}

/// Whether capacity of a node may be kept: it is there, or may be again in a moment.
const fn keeps(node: &Node) -> bool {
    match node.presence {
        Presence::Up(_) | Presence::Suspect(_) | Presence::Draining(_) => true,
        Presence::Away(_) | Presence::Lost(_) | Presence::Left(_) => false,
    }
}

type Part = (Shape, GpuSet);

/// What is claimed of a node.
#[derive(Default)]
struct Claimed {
    standbys: Vec<Part>,
    booked: Calendar,
    begun: Vec<Part>,
}

/// What was sold under a promise has room beside the claims, and beside spot.
fn check_layers(state: &State) -> Result<(), Violation> {
    let mut claims = claims_by_node(state);
    for (id, node) in &state.nodes {
        let (mut spot, mut firm) = (Vec::new(), Vec::new());
        for lease in node.leases.iter().filter_map(|id| state.leases.get(id)) {
            let part = (lease.shape, lease.gpus());
            match Layer::of_workload(state, lease.workload) {
                Layer::Spot => spot.push(part),
                Layer::Firm => firm.push(part),
            }
        }
        let on = claims.remove(id).unwrap_or_default();
        let booked = on.booked.most().beyond(&Amounts::of(&on.begun));
        let claimed = booked.plus(&Amounts::of(&on.standbys));
        let firm = Amounts::of(&firm);
        for other in [Amounts::of(&spot), claimed] {
            if !has_room(&node.capacity, &firm.plus(&other)) {
                return Err(Violation::OverClaimed(*id));
            }
        }
    }
    Ok(())
}

fn claims_by_node(state: &State) -> BTreeMap<NodeKey, Claimed> {
    let mut claims: BTreeMap<NodeKey, Claimed> = BTreeMap::new();
    for claim in state.claims.values() {
        let Some(place) = &claim.place else { continue };
        let on = claims.entry(place.node).or_default();
        let (shape, gpus) = (place.shape, place.gpus());
        match state.reservations.get(&claim.workload) {
            None => on.standbys.push((shape, gpus)),
            Some(booked) => on.booked.book(Booking {
                from: booked.from,
                to: booked.to,
                shape,
                gpus,
            }),
        }
        on.begun.extend(claim.replica.map(|_| (shape, gpus)));
    }
    claims
}

fn has_room(has: &Capacity, taken: &Amounts) -> bool {
    let all = Shape {
        gpu_milli: u64::from(has.gpus) * 1_000,
        cpu_milli: has.cpu_milli,
        memory_mib: has.memory_mib,
        disk_mib: has.disk_mib,
        gpu_memory_mib: 0,
    };
    let gpus = (0..has.gpus.min(GpuSet::MAX_GPUS) as usize).collect();
    taken.beyond(&Amounts::of(&[(all, gpus)])).is_nothing()
}
