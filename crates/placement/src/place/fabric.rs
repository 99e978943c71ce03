//! A group on one fabric: all its members at one site, on nodes of one class.

use super::{Cost, Placement, placed};
use crate::fleet::Fleet;
use crate::pool::{Pool, PoolId};
use crate::request::{Replicas, Request};
use crate::search::Where;
use crate::unplaced::Unplaced;
use crate::view::{Taken, admits, keeps_away};

/// The pools of one fabric that the request goes to.
struct Fabric {
    /// What the group would cost if all members went to the cheapest pool.
    least: Cost,
    pools: Vec<PoolId>,
}

/// Places the group on the fabric where it costs least in all.
///
/// Fabrics are tried in the order of the least that they can cost, until no other can be cheaper.
pub(super) fn place(
    fleet: &mut Fleet,
    request: &Request,
    replicas: Replicas,
) -> Result<Vec<Placement>, Unplaced> {
    let mut fabrics = fabrics(fleet, request, replicas);
    fabrics.sort_by_key(|fabric| fabric.least);
    let mut best: Option<(Cost, Vec<Placement>)> = None;
    let mut roomiest = 0;
    for fabric in &fabrics {
        if best.as_ref().is_some_and(|(cost, _)| *cost <= fabric.least) {
            break;
        }
        let room = fabric.room(fleet, request);
        roomiest = room.max(roomiest);
        if room >= u64::from(replicas.get()) {
            let (group, cost) = placed(fleet, request, replicas, &Where::Pools(&fabric.pools));
            let found = group.ok().map(|group| (cost, group));
            best = best.into_iter().chain(found).min_by_key(|(cost, _)| *cost);
        }
    }
    best.map(|(_, group)| group)
        .ok_or_else(|| explain(fleet, request, replicas, roomiest))
}

fn fabrics(fleet: &Fleet, request: &Request, replicas: Replicas) -> Vec<Fabric> {
    let found = |id: &PoolId| &fleet.stock.pools[*id as usize];
    let goes_there = |id: &PoolId| {
        let pool = found(id);
        pool.room.most().may_have(request.ask.gpus())
            && admits(request, &pool.common)
            && !keeps_away(request, &Taken::default(), &pool.common)
    };
    let fabric = |pools: &[PoolId]| {
        let pools: Vec<PoolId> = pools.iter().copied().filter(goes_there).collect();
        let costs = pools.iter().map(|id| found(id).cost(request.shape()));
        let least = Cost::from(costs.min()?) * Cost::from(replicas.get());
        Some(Fabric { least, pools })
    };
    fleet.stock.cells().filter_map(fabric).collect()
}

impl Fabric {
    /// How many members have room there.
    fn room(&self, fleet: &Fleet, request: &Request) -> u64 {
        let pools = self.pools.iter().map(|&id| &fleet.stock.pools[id as usize]);
        let rooms = pools.flat_map(Pool::slots).map(|(_, slot)| {
            let nodes = slot.nodes.len() as u64;
            slot.free.room_for(&request.ask).saturating_mul(nodes)
        });
        rooms.fold(0, u64::saturating_add)
    }
}

/// The fabric with most room says how far the group came.
fn explain(fleet: &Fleet, request: &Request, replicas: Replicas, roomiest: u64) -> Unplaced {
    let placed = roomiest.min(u64::from(replicas.get()) - 1);
    let placed = u32::try_from(placed).unwrap_or(u32::MAX);
    Unplaced::explain(fleet, request, &Taken::default(), (placed, replicas.get()))
}
