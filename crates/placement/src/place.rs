//! Placing one replica, or a group of them all or nothing.
//!
//! Taking the best node for one member after another is exact here, both in whether a group fits
//! and in what it costs in all. Members are alike, and a quote does not depend on how full a node
//! is. Without spread, how many members a node can take does not depend on the other nodes. With
//! spread over owners (or sites) each owner gives one node, its cheapest that fits, and the
//! cheapest owners are taken. A site has one owner ([`crate::Fleet`] refuses another), so owners
//! that differ have sites that differ: both spreads together are the spread over owners.

mod fabric;

use remuda_types::{NodeKey, Price, ProviderId, SiteId};

use crate::fleet::{Fleet, done};
use crate::free::GpuSet;
use crate::pool::PoolId;
use crate::request::{Replicas, Request, Together};
use crate::search::{Rank, Where, best};
use crate::unplaced::Unplaced;
use crate::view::Taken;

/// Where a replica goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The node.
    pub node: NodeKey,
    /// The node's site.
    pub site: SiteId,
    /// The node's owner.
    pub provider: ProviderId,
    /// Which of the node's GPUs; [`Fleet::hold_on`] takes them.
    pub gpus: GpuSet,
    /// What the replica costs by the hour.
    pub price: Price,
}

/// The best node for one replica, if there is one. Nothing is held yet.
///
/// The fleet is as before when this returns; it is taken mutably for what it remembers.
pub fn find(fleet: &mut Fleet, request: &Request) -> Option<Placement> {
    let taken = Taken::default();
    let (rank, pool) = best(fleet, request, &taken, &Where::Anywhere)?;
    fleet.placement(request, &rank, pool)
}

/// The best node for one replica, or why there is none. To explain takes a look at every state
/// that nodes are in: [`find`] is for those who do not ask.
pub fn place(fleet: &mut Fleet, request: &Request) -> Result<Placement, Unplaced> {
    find(fleet, request).ok_or_else(|| Unplaced::explain(fleet, request, &Taken::default(), (0, 1)))
}

/// Nodes for all the replicas of a group, in the order of preference, or for none of them. Each
/// member sees the earlier ones as held, and keeps off their owners and sites where the request's
/// spread says so. Nothing is held when this returns.
pub fn place_group(
    fleet: &mut Fleet,
    request: &Request,
    replicas: Replicas,
) -> Result<Vec<Placement>, Unplaced> {
    match request.together {
        Together::No => placed(fleet, request, replicas, &Where::Anywhere).0,
        Together::Fabric => fabric::place(fleet, request, replicas),
    }
}

/// What a group costs by the hour, as places are compared.
type Cost = u128;

/// Places a group where it may look, and releases it again.
fn placed(
    fleet: &mut Fleet,
    request: &Request,
    replicas: Replicas,
    place: &Where<'_>,
) -> (Result<Vec<Placement>, Unplaced>, Cost) {
    let (mut taken, mut cost) = (Taken::default(), 0);
    let mut placements: Vec<Placement> = Vec::new();
    let mut spent = Vec::new();
    let outcome = loop {
        let members = u32::try_from(placements.len()).unwrap_or(u32::MAX);
        if members == replicas.get() {
            break Ok(());
        }
        let found = best(fleet, request, &taken, place);
        let member = found.and_then(|(rank, pool)| {
            cost += Cost::from(rank.cost);
            fleet.placement(request, &rank, pool)
        });
        let Some(member) = member else {
            let progress = (members, replicas.get());
            break Err(Unplaced::explain(fleet, request, &taken, progress));
        };
        done(fleet.hold_on(member.node, request.shape(), member.gpus));
        spent.extend(fleet.spend(request, member.node));
        taken.owners.insert(member.provider);
        taken.sites.insert(member.site);
        placements.push(member);
    };
    for member in placements.iter().rev() {
        done(fleet.release_on(member.node, request.shape(), member.gpus));
    }
    for spent in spent.into_iter().rev() {
        fleet.give_back_spent(spent);
    }
    (outcome.map(|()| placements), cost)
}

impl Fleet {
    fn placement(&self, request: &Request, rank: &Rank, pool: PoolId) -> Option<Placement> {
        let common = &self.stock.pools[pool as usize].common;
        let node = rank.node();
        Some(Placement {
            node,
            site: common.site,
            provider: common.provider,
            gpus: self.free(node)?.choose(request.ask.gpus())?,
            price: common.quote(request.shape()),
        })
    }
}
