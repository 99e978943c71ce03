//! A group on one fabric: all its members at one site, on nodes of one class.

use std::collections::BTreeMap;

use super::{Cost, Group, Placement};
use crate::brief::Brief;
use crate::fleet::Fleet;
use crate::pool::{PoolId, Slot};
use crate::quotas::Cell;
use crate::request::{Replicas, Request};
use crate::search::Where;
use crate::view::{Taken, admits, keeps_away, suits};

/// The pools of one fabric that the request goes to.
pub(super) struct Fabric {
    at: Cell,
    /// What the group would cost if all members went to the cheapest nodes.
    least: Cost,
    pools: Vec<PoolId>,
}

/// Places the group on the fabric where it costs least in all, of those that are not shunned if it
/// has room on any.
pub(super) fn find(
    fleet: &mut Fleet,
    request: &Request,
    replicas: Replicas,
) -> Option<Vec<Placement>> {
    let mut fabrics = fabrics(fleet, request, replicas);
    fabrics.sort_by_key(|fabric| fabric.least);
    let (shunned, apart): (Vec<_>, Vec<_>) = fabrics
        .iter()
        .partition(|fabric| request.shun.contains(&fabric.at.site));
    let found = cheapest(fleet, request, replicas, &apart);
    found.or_else(|| cheapest(fleet, request, replicas, &shunned))
}

/// The group on the fabric where it costs least in all. Fabrics come in the order of the least that
/// they can cost, and are tried until no other can be cheaper.
fn cheapest(
    fleet: &mut Fleet,
    request: &Request,
    replicas: Replicas,
    fabrics: &[&Fabric],
) -> Option<Vec<Placement>> {
    let mut best: Option<(Cost, Vec<Placement>)> = None;
    for fabric in fabrics {
        if best.as_ref().is_some_and(|(cost, _)| *cost <= fabric.least) {
            break;
        }
        if fabric.room(fleet, request) < u64::from(replicas.get()) {
            continue;
        }
        let (mut group, whole) = fabric.group(fleet, request, replicas);
        group.release(fleet, request);
        let found = whole.then_some((group.cost, group.placements));
        best = best.into_iter().chain(found).min_by_key(|(cost, _)| *cost);
    }
    best.map(|(_, group)| group)
}

/// The fabrics that have room for a whole group, those first where it may cost least. Of a node that
/// `instead` has, it says what is free, and not `fleet`.
pub fn fabrics_with_room(
    (fleet, instead): (&Fleet, &Fleet),
    request: &Request,
    replicas: Replicas,
) -> Vec<Cell> {
    let is_elsewhere = |slot: &Slot| {
        if instead.is_empty() {
            return 0;
        }
        let nodes = slot.nodes.iter();
        let avoid = &request.avoid.nodes;
        nodes
            .filter(|node| instead.pool_of(*node).is_some() && !avoid.contains(node))
            .count()
    };
    let mut found = BTreeMap::<Cell, (Cost, u64)>::new();
    let there = fabrics(instead, request, replicas).into_iter();
    let there = there.map(|of| (of.room(instead, request), of));
    let here = fabrics(fleet, request, replicas).into_iter();
    let here = here.map(|of| (of.room_on(fleet, request, is_elsewhere), of));
    for (room, of) in there.chain(here) {
        let (least, rooms) = found.entry(of.at).or_insert((of.least, 0));
        (*least, *rooms) = ((*least).min(of.least), rooms.saturating_add(room));
    }
    found.retain(|_, (_, rooms)| *rooms >= u64::from(replicas.get()));
    let is_shunned = |cell: &Cell| request.shun.contains(&cell.site);
    let mut found: Vec<_> = found.into_iter().collect();
    found.sort_by_key(|(cell, (least, _))| (is_shunned(cell), *least, *cell));
    found.into_iter().map(|(cell, _)| cell).collect()
}

/// The fabrics with nodes that may do, by site and class.
fn fabrics(fleet: &Fleet, request: &Request, replicas: Replicas) -> Vec<Fabric> {
    let stock = &fleet.stock;
    let (asked, none) = (Brief::asked(&request.ask), Taken::default());
    let goes_there = |id: &PoolId| {
        let pool = &stock.pools[*id as usize];
        let may_have_room = || pool.roomy(asked).next().is_some();
        admits(request, &pool.common)
            && !keeps_away(request, &none, &pool.common)
            && may_have_room()
    };
    let fabric = |((site, class), pools): (_, &[PoolId])| {
        let at = Cell { site, class };
        let pools: Vec<PoolId> = pools.iter().copied().filter(goes_there).collect();
        let pool = |id: &PoolId| &stock.pools[*id as usize];
        let kinds = pools
            .iter()
            .flat_map(|id| pool(id).kinds().map(move |(_, kind)| (id, kind)));
        let costs = kinds
            .filter(|(_, kind)| suits(request, &kind.offering))
            .map(|(id, kind)| stock.cost(pool(id), &kind.offering, request.shape()));
        let least = Cost::from(costs.min()?) * Cost::from(replicas.get());
        Some(Fabric { at, least, pools })
    };
    stock.cells().filter_map(fabric).collect()
}

impl Fabric {
    /// How many members have room there.
    fn room(&self, fleet: &Fleet, request: &Request) -> u64 {
        self.room_on(fleet, request, |_| 0)
    }

    /// The same without some nodes of each state.
    fn room_on(&self, fleet: &Fleet, request: &Request, without: impl Fn(&Slot) -> usize) -> u64 {
        let pools = self.pools.iter().map(|&id| &fleet.stock.pools[id as usize]);
        let asked = Brief::asked(&request.ask);
        let rooms = pools.flat_map(|pool| {
            let slots = pool.roomy(asked);
            slots.filter(|slot| suits(request, &pool.kind(slot.kind).offering))
        });
        let rooms = rooms.map(|slot| {
            let avoided = slot.among(&request.avoid.nodes);
            let nodes = slot.nodes.len().saturating_sub(avoided + without(slot));
            slot.free
                .room_for(&request.ask)
                .saturating_mul(nodes as u64)
        });
        rooms.fold(0, u64::saturating_add)
    }

    /// As many members as have room there, held; and whether they are all.
    fn group(&self, fleet: &mut Fleet, request: &Request, replicas: Replicas) -> (Group, bool) {
        let mut group = Group::default();
        let whole = group.grow(fleet, request, replicas, Where::Pools(&self.pools));
        (group, whole)
    }
}
