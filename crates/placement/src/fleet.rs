//! The index over nodes: what each offers, what is held of it, whether it takes more.
//!
//! It is derived from the network's state and can be rebuilt from it: offers, open or not, one hold
//! for each lease, and the plan. Nothing here decides where a replica goes.

mod error;
mod ladder;
mod node;
mod stock;

use std::collections::BTreeSet;

use remuda_types::{Capacity, Class, Country, NodeKey, Place, Price, ProviderId, Shape, SiteId};

use crate::amounts::Amounts;
use crate::ask::Ask;
use crate::free::{Free, GpuSet};
use crate::kinship::Kin;
use crate::map::Map;
use crate::memory::Memory;
use crate::plan::Plan;
use crate::pool::{Common, Offering, PoolId};
use crate::quotas::Quotas;

pub use error::{HoldError, OfferError, ReleaseError, RemoveError, UnknownNode};
pub(crate) use ladder::Rung;
pub(crate) use node::{Hold, Node};
pub(crate) use stock::{Owner, Stock};

/// What a node offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeOffer {
    /// The node.
    pub node: NodeKey,
    /// Its owner.
    pub provider: ProviderId,
    /// Where it stands; all nodes at a site have one owner.
    pub site: SiteId,
    /// The site's country.
    pub country: Country,
    /// The site's place.
    pub place: Place,
    /// The kind of its GPUs, or [`Class::CPU`].
    pub class: Class,
    /// What it has in all.
    pub capacity: Capacity,
    /// What the whole node costs by the hour; [`crate::quote`] says what a shape costs.
    pub price: Price,
}

/// The nodes, and what is remembered of earlier searches among them. Two fleets are equal when
/// they answer every request alike, whatever the order of the calls that made them.
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    nodes: Map<NodeKey, Node>,
    /// The keys of all nodes in their order; the map has none.
    keys: BTreeSet<NodeKey>,
    pub(crate) stock: Stock,
    pub(crate) memory: Memory,
    pub(crate) quotas: Quotas,
    pub(crate) kin: Kin,
    missteps: u64,
}

impl Fleet {
    /// A fleet without nodes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a node, open, or replaces what a known one offers; what is held of it, and whether it
    /// is open, stay as they are. On an error nothing changes.
    pub fn upsert(&mut self, offer: &NodeOffer) -> Result<(), OfferError> {
        let (key, common) = (offer.node, Common::of(offer));
        let known = self.nodes.get(&key);
        self.stock.check_owner(known, &common)?;
        let holds = known.map(|node| node.holds.clone()).unwrap_or_default();
        let aside = known.and_then(|node| node.aside.clone());
        let open = known.is_none_or(|node| node.open);
        let free = free_under(offer, &holds, aside.as_deref())?;
        let old = known.map(|known| (known.pool, known.kind));
        if let Some(known) = known {
            self.stock.take_out(key, known);
        }
        let (pool, kind) = self.stock.kind(common, Offering::of(offer));
        let mut node = Node {
            pool,
            kind,
            slot: 0,
            open,
            free,
            holds,
            aside,
        };
        self.stock.put_in(key, &mut node);
        self.nodes.insert(key, node);
        self.keys.insert(key);
        if let Some((pool, kind)) = old {
            self.stock.retire_if_empty(pool, kind);
        }
        Ok(())
    }

    /// Takes a node out of the fleet. What is held of it must be released first.
    pub fn remove(&mut self, node: NodeKey) -> Result<NodeOffer, RemoveError> {
        let offer = self.offer(node).ok_or(UnknownNode(node))?;
        let found = self.get(node)?;
        let holds = found.holds.len() + usize::from(found.aside.is_some());
        if holds > 0 {
            return Err(RemoveError::StillHeld { node, holds });
        }
        if let Some(removed) = self.nodes.remove(&node) {
            self.keys.remove(&node);
            self.stock.take_out(node, &removed);
            self.stock.retire_if_empty(removed.pool, removed.kind);
        }
        Ok(offer)
    }

    /// Opens a node to new replicas, or closes it (draining, suspect): closed, it keeps what it
    /// holds and gets nothing more from [`crate::place()`].
    pub fn set_open(&mut self, key: NodeKey, open: bool) -> Result<(), UnknownNode> {
        let node = self.nodes.get_mut(&key).ok_or(UnknownNode(key))?;
        if node.open != open {
            self.stock.take_out(key, node);
            node.open = open;
            self.stock.put_in(key, node);
        }
        Ok(())
    }

    /// Holds `shape` on the node, open or not, on the GPUs that a placement now would name; these
    /// are returned.
    pub fn hold(&mut self, node: NodeKey, shape: &Shape) -> Result<GpuSet, HoldError> {
        let ask = Ask::new(*shape)?;
        let found = self.get(node)?;
        let gpus = found.free.choose(ask.gpus());
        let gpus = gpus.ok_or_else(|| found.no_room(node, &ask))?;
        self.take(node, Hold { ask, gpus })?;
        Ok(gpus)
    }

    /// Holds `shape` on these very GPUs: those of the placement, or of the lease when the fleet is
    /// rebuilt.
    pub fn hold_on(&mut self, node: NodeKey, shape: &Shape, gpus: GpuSet) -> Result<(), HoldError> {
        let ask = Ask::new(*shape)?;
        let asked = ask.gpus().count();
        if u64::from(gpus.len()) != asked {
            return Err(HoldError::GpuCount {
                named: gpus.len(),
                asked,
            });
        }
        self.take(node, Hold { ask, gpus })
    }

    /// Releases the youngest hold of this shape, and returns the GPUs it was on. Undoes a `hold`
    /// just made, and is exact for whole GPUs, which are alike; where two replicas hold equal
    /// parts on different GPUs, only [`Fleet::release_on`] frees the right one.
    pub fn release(&mut self, node: NodeKey, shape: &Shape) -> Result<GpuSet, ReleaseError> {
        self.give_back(node, |hold| hold.ask.shape() == shape)
    }

    /// Releases the hold of this shape on these GPUs, as the lease recorded them.
    pub fn release_on(
        &mut self,
        node: NodeKey,
        shape: &Shape,
        gpus: GpuSet,
    ) -> Result<(), ReleaseError> {
        let is_it = |hold: &Hold| hold.ask.shape() == shape && hold.gpus == gpus;
        self.give_back(node, is_it).map(|_| ())
    }

    /// Sets amounts of a node aside, in place of what was set aside of it before: kept free of
    /// what is placed, beside what is held. On an error nothing changes.
    pub fn set_aside(&mut self, key: NodeKey, amounts: Amounts) -> Result<(), HoldError> {
        let aside = (!amounts.is_nothing()).then(|| Box::new(amounts));
        if self.get(key)?.aside == aside {
            return Ok(());
        }
        let offer = self.offer(key).ok_or(UnknownNode(key))?;
        let node = self.nodes.get_mut(&key).ok_or(UnknownNode(key))?;
        let free = free_under(&offer, &node.holds, aside.as_deref());
        let free = free.map_err(|_| HoldError::SetAside { node: key })?;
        self.stock.change(key, node, free);
        node.aside = aside;
        Ok(())
    }

    /// The GPUs that [`Fleet::hold`] would take now, if the node has room.
    pub fn room_for(&self, node: NodeKey, shape: &Shape) -> Option<GpuSet> {
        let (ask, free) = (Ask::new(*shape).ok()?, self.free(node)?);
        free.has_room(&ask).then(|| free.choose(ask.gpus()))?
    }

    /// Whether [`Fleet::hold_on`] would have room now.
    pub fn has_room_on(&self, node: NodeKey, shape: &Shape, gpus: GpuSet) -> bool {
        let ask = Ask::new(*shape);
        let left = ask.ok().zip(self.free(node));
        left.is_some_and(|(ask, free)| free.minus(&ask, gpus).is_some())
    }

    /// What is held of a node, oldest first.
    pub fn holds(&self, node: NodeKey) -> impl Iterator<Item = (Shape, GpuSet)> {
        let holds = self.nodes.get(&node).into_iter();
        let holds = holds.flat_map(|node| &node.holds);
        holds.map(|hold| (*hold.ask.shape(), hold.gpus))
    }

    /// Follows a plan from now on.
    pub fn set_plan(&mut self, plan: Plan) {
        self.stock.set_plan(plan);
    }

    /// What is free on the node, or `None` when the fleet does not have it.
    pub fn free(&self, node: NodeKey) -> Option<&Free> {
        self.nodes.get(&node).map(|node| &node.free)
    }

    /// What the node offers, or `None` when the fleet does not have it.
    pub fn offer(&self, node: NodeKey) -> Option<NodeOffer> {
        let (common, offering) = self.described(node)?;
        Some(common.offer(node, offering))
    }

    /// What the node has in common with others.
    pub(crate) fn described(&self, node: NodeKey) -> Option<(&Common, &Offering)> {
        let found = self.nodes.get(&node)?;
        let pool = &self.stock.pools[found.pool as usize];
        Some((&pool.common, &pool.kind(found.kind).offering))
    }

    /// Whether the node takes new replicas, or `None` when the fleet does not have it.
    pub fn is_open(&self, node: NodeKey) -> Option<bool> {
        self.nodes.get(&node).map(|node| node.open)
    }

    /// How many holds the node has; none when the fleet does not have it.
    pub(crate) fn hold_count(&self, node: NodeKey) -> usize {
        self.nodes.get(&node).map_or(0, |node| node.holds.len())
    }

    /// All offers, by node key.
    pub fn offers(&self) -> impl Iterator<Item = NodeOffer> {
        self.keys.iter().filter_map(|key| self.offer(*key))
    }

    /// The number of nodes, open or not.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is no node at all.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The states that open nodes are in: of GPUs of this class and memory, and how many they are.
    pub(crate) fn open_states(&self) -> impl Iterator<Item = ((Class, u64), &Free, u64)> {
        self.stock.pools.iter().flat_map(|pool| {
            pool.slots().map(|slot| {
                let memory_mib = pool.kind(slot.kind).offering.capacity.gpu_memory_mib;
                let gpus = (pool.common.class, memory_mib);
                (gpus, &slot.free, slot.nodes.len() as u64)
            })
        })
    }

    pub(crate) fn pool_of(&self, node: NodeKey) -> Option<PoolId> {
        self.nodes.get(&node).map(|node| node.pool)
    }

    pub(crate) fn nodes(&self) -> impl Iterator<Item = (NodeKey, &Node)> {
        let found = |key| self.nodes.get(key).map(|node| (*key, node));
        self.keys.iter().filter_map(found)
    }

    /// Notes it if what was just found possible was not; says whether it was.
    pub(crate) fn follows<T, E>(&mut self, outcome: &Result<T, E>) -> bool {
        self.missteps += u64::from(outcome.is_err());
        outcome.is_ok()
    }

    /// How often something that was just found possible was not: never, if all is well.
    pub(crate) const fn missteps(&self) -> u64 {
        self.missteps
    }

    fn get(&self, node: NodeKey) -> Result<&Node, UnknownNode> {
        self.nodes.get(&node).ok_or(UnknownNode(node))
    }

    fn take(&mut self, key: NodeKey, hold: Hold) -> Result<(), HoldError> {
        let node = self.nodes.get_mut(&key).ok_or(UnknownNode(key))?;
        let left = node.free.minus(&hold.ask, hold.gpus);
        let left = left.ok_or_else(|| node.no_room(key, &hold.ask))?;
        self.stock.change(key, node, left);
        node.holds.push(hold);
        Ok(())
    }

    fn give_back(
        &mut self,
        key: NodeKey,
        is_it: impl Fn(&Hold) -> bool,
    ) -> Result<GpuSet, ReleaseError> {
        let node = self.nodes.get_mut(&key).ok_or(UnknownNode(key))?;
        let at = node.holds.iter().rposition(is_it);
        let at = at.ok_or(ReleaseError::NotHeld { node: key })?;
        let hold = node.holds.remove(at);
        let mut free = node.free.clone();
        free.put_back(&hold.ask, hold.gpus);
        self.stock.change(key, node, free);
        Ok(hold.gpus)
    }
}

impl PartialEq for Fleet {
    fn eq(&self, other: &Self) -> bool {
        self.stock.plan() == other.stock.plan()
            && self.quotas == other.quotas
            && self.kin == other.kin
            && self.offers().eq(other.offers())
            && self.nodes().eq(other.nodes())
    }
}

impl Eq for Fleet {}

/// What the holds, and what is set aside, leave of the capacity offered.
fn free_under(
    offer: &NodeOffer,
    holds: &[Hold],
    aside: Option<&Amounts>,
) -> Result<Free, OfferError> {
    let gpus = offer.capacity.gpus;
    let all = Free::all(&offer.capacity).ok_or(OfferError::TooManyGpus { gpus })?;
    let left = holds
        .iter()
        .try_fold(all, |free, hold| free.minus(&hold.ask, hold.gpus));
    let left = left.and_then(|free| aside.map_or(Some(free.clone()), |aside| free.without(aside)));
    left.ok_or(OfferError::LessThanHeld {
        node: offer.node,
        holds: holds.len(),
    })
}

#[cfg(test)]
mod tests;
