//! Claims: each for a workload that runs, and on a node beside what was sold there under a promise.

use std::collections::BTreeMap;

use remuda_placement::{Amounts, GpuSet};
use remuda_types::{Capacity, NodeKey, Shape};

use super::Violation;
use crate::index::Layer;
use crate::state::{Claim, Node, Presence, State};

pub(super) fn check(state: &State) -> Result<(), Violation> {
    let stray = |claim: &Claim| {
        let workload = state.workloads.get(&claim.workload);
        let waits = claim.retry.is_some() && claim.place.is_none();
        let on = claim.place.and_then(|place| state.nodes.get(&place.node));
        workload.is_none_or(|workload| workload.stopping) || !(waits || on.is_some_and(keeps))
    };
    let mut claims = state.claims.iter();
    if let Some((id, _)) = claims.find(|(_, claim)| stray(claim)) {
        return Err(Violation::StrayClaim(*id));
    }
    check_layers(state)
}

/// Whether capacity of a node may be kept: it is there, or may be again in a moment.
const fn keeps(node: &Node) -> bool {
    match node.presence {
        Presence::Up(_) | Presence::Suspect(_) | Presence::Draining(_) => true,
        Presence::Away(_) | Presence::Lost(_) | Presence::Left(_) => false,
    }
}

/// What was sold under a promise has room beside the claims, and beside spot.
fn check_layers(state: &State) -> Result<(), Violation> {
    let mut claims: BTreeMap<NodeKey, Vec<(Shape, GpuSet)>> = BTreeMap::new();
    for place in state.claims.values().filter_map(|claim| claim.place) {
        let on = claims.entry(place.node).or_default();
        on.push((place.shape, place.gpus()));
    }
    for (id, node) in &state.nodes {
        let (mut spot, mut firm) = (Vec::new(), Vec::new());
        for lease in node.leases.iter().filter_map(|id| state.leases.get(id)) {
            let part = (lease.shape, lease.gpus());
            match Layer::of_workload(state, lease.workload) {
                Layer::Spot => spot.push(part),
                Layer::Firm | Layer::Claim => firm.push(part),
            }
        }
        let claims = claims.remove(id).unwrap_or_default();
        for other in [spot, claims] {
            if !has_room(&node.capacity, firm.iter().chain(&other)) {
                return Err(Violation::OverClaimed(*id));
            }
        }
    }
    Ok(())
}

fn has_room<'a>(has: &Capacity, parts: impl Iterator<Item = &'a (Shape, GpuSet)>) -> bool {
    let all = Shape {
        gpu_milli: u64::from(has.gpus) * 1_000,
        cpu_milli: has.cpu_milli,
        memory_mib: has.memory_mib,
        disk_mib: has.disk_mib,
        gpu_memory_mib: 0,
    };
    let gpus = (0..has.gpus.min(GpuSet::MAX_GPUS) as usize).collect();
    Amounts::of(parts)
        .beyond(&Amounts::of(&[(all, gpus)]))
        .is_nothing()
}
