//! Placing one replica, or a group of them all or nothing.
//!
//! Taking the best node for one member after another is exact here, both in whether a group fits
//! and in what it costs in all. Members are alike, and a quote does not depend on how full a node
//! is. Without spread, how many members a node can take does not depend on the other nodes. With
//! spread an owner and a site take as many as they may, and a node as many as have room. A site has
//! one owner ([`crate::Fleet`] refuses another), so these limits are nested: members that keep to
//! them are the independent sets of a laminar matroid, and of these the cheapest are found one by
//! one, whatever the earlier ones were. Those come first that are no kin of the earlier ones, which
//! may cost more but never keeps a group from fitting.

mod fabric;

pub use fabric::fabrics_with_room;

use remuda_types::{NodeKey, Price, ProviderId, SiteId};

use crate::fleet::Fleet;
use crate::free::GpuSet;
use crate::quotas::DemandClass;
use crate::request::{Replicas, Request, RequestError, Together};
use crate::search::{Sought, Where};
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
    let rank = Sought::one_more(request, &taken, Where::Anywhere).best(fleet)?;
    fleet.placement(request, rank.node)
}

/// The best node for one replica, or why there is none. To explain takes a look at every state
/// that nodes are in: [`find`] is for those who do not ask.
pub fn place(fleet: &mut Fleet, request: &Request) -> Result<Placement, Unplaced> {
    find(fleet, request).ok_or_else(|| explain(fleet, request))
}

/// Why there is no node for one replica, as the fleet is now: a look at every state that nodes are in.
pub fn explain(fleet: &Fleet, request: &Request) -> Unplaced {
    Unplaced::explain(fleet, request)
}

/// How many members of a group have a place, and why the next has none; nothing where all have one.
/// Of a node that `instead` has, it says what is free, and not `fleet`. A look at every state that
/// nodes are in, and no more: nothing is held for it.
pub fn explain_group(
    fleets: (&Fleet, &Fleet),
    request: &Request,
    replicas: Replicas,
) -> Option<Unplaced> {
    Unplaced::of_group(fleets, request, replicas)
}

/// Why a group has no place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// What is asked makes no sense, whatever the fleet is.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// There is no room for all.
    #[error(transparent)]
    Unplaced(Box<Unplaced>),
}

impl From<Unplaced> for GroupError {
    fn from(unplaced: Unplaced) -> Self {
        Self::Unplaced(Box::new(unplaced))
    }
}

/// Nodes for all the replicas of a group, in the order of preference, or for none of them. Each
/// member sees the earlier ones as held, keeps off owners and sites that have as many as the
/// request's spread says, and then off the kin of earlier ones where it can. Nothing is held when this returns.
pub fn place_group(
    fleet: &mut Fleet,
    request: &Request,
    replicas: Replicas,
) -> Result<Vec<Placement>, GroupError> {
    let found = find_group(fleet, request, replicas)?;
    found.ok_or_else(|| {
        let why = explain_group((fleet, &Fleet::new()), request, replicas);
        GroupError::from(why.unwrap_or_else(|| Unplaced::explain(fleet, request)))
    })
}

/// [`place_group`] for those who do not ask why there is no place.
pub fn find_group(
    fleet: &mut Fleet,
    request: &Request,
    replicas: Replicas,
) -> Result<Option<Vec<Placement>>, RequestError> {
    request.check_group()?;
    if request.together == Together::Fabric {
        return Ok(fabric::find(fleet, request, replicas));
    }
    let mut group = Group::default();
    let whole = group.grow(fleet, request, replicas, Where::Anywhere);
    group.release(fleet, request);
    Ok(whole.then_some(group.placements))
}

/// What a group costs by the hour, as places are compared.
type Cost = u128;

/// Members of a group that are held while the others are placed.
#[derive(Debug, Default)]
struct Group {
    placements: Vec<Placement>,
    /// So many of them, the first, are held: nobody looks at what the last leaves.
    held: usize,
    cost: Cost,
    taken: Taken,
}

impl Group {
    /// Adds members until there are as many as wanted; says whether there are.
    fn grow(
        &mut self,
        fleet: &mut Fleet,
        request: &Request,
        wanted: Replicas,
        place: Where<'_>,
    ) -> bool {
        while self.members() < wanted.get() {
            let sought = Sought::one_more(request, &self.taken, place);
            let Some(rank) = sought.best(fleet) else {
                return false;
            };
            let Some(member) = fleet.placement(request, rank.node) else {
                return false;
            };
            let is_last = self.members() + 1 == wanted.get();
            if !is_last && !self.hold(fleet, request, &member) {
                return false;
            }
            self.cost += Cost::from(rank.cost);
            if request.spreads() {
                self.taken.members.add(member.provider, member.site);
                self.taken.kin.extend(fleet.kin.of(member.site));
            }
            self.placements.push(member);
        }
        true
    }

    /// Holds a member's place for the search for the next one.
    fn hold(&mut self, fleet: &mut Fleet, request: &Request, member: &Placement) -> bool {
        let held = fleet.hold_on(member.node, request.shape(), member.gpus);
        if !fleet.follows(&held) {
            return false;
        }
        self.held += 1;
        if let Some(class) = DemandClass::of(request) {
            fleet.count_in(&class, member.node, request.shape().gpu_milli);
        }
        true
    }

    fn members(&self) -> u32 {
        u32::try_from(self.placements.len()).unwrap_or(u32::MAX)
    }

    /// Gives back what is held, the youngest first.
    fn release(&mut self, fleet: &mut Fleet, request: &Request) {
        if self.held == 0 {
            return;
        }
        let class = DemandClass::of(request);
        for member in self.placements[..self.held].iter().rev() {
            let released = fleet.release_on(member.node, request.shape(), member.gpus);
            fleet.follows(&released);
            if let Some(class) = &class {
                fleet.count_out(class, member.node, request.shape().gpu_milli);
            }
        }
    }
}

impl Fleet {
    fn placement(&self, request: &Request, node: NodeKey) -> Option<Placement> {
        let (common, offering) = self.described(node)?;
        Some(Placement {
            node,
            site: common.site,
            provider: common.provider,
            gpus: self.free(node)?.choose(request.ask.gpus())?,
            price: offering.quote(request.shape()),
        })
    }
}
