//! The index over nodes: what each offers, what is held of it, whether it takes more.
//!
//! It is derived from the network's state and can be rebuilt from it: offers, open or not, and one
//! hold for each lease. Nothing here decides where a replica goes.

mod error;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use remuda_types::{Capacity, Class, Country, NodeKey, Place, Price, ProviderId, Shape, SiteId};

use crate::ask::Ask;
use crate::constraint::Constraint;
use crate::free::{Free, GpuSet};

pub use error::{HoldError, OfferError, ReleaseError, RemoveError, UnknownNode};

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

/// The nodes, in the order of their keys. Two fleets are equal when they answer every request
/// alike, whatever the order of the calls that made them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fleet {
    nodes: BTreeMap<NodeKey, Node>,
    sites: BTreeMap<SiteId, Owner>,
}

/// One node of the fleet.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) offer: NodeOffer,
    pub(crate) open: bool,
    pub(crate) free: Free,
    /// Oldest first.
    pub(crate) holds: Vec<Hold>,
}

/// A part of a node that is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hold {
    pub(crate) ask: Ask,
    pub(crate) gpus: GpuSet,
}

/// Who owns a site, and how many of the fleet's nodes stand there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) provider: ProviderId,
    pub(crate) nodes: usize,
}

impl Fleet {
    /// A fleet without nodes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a node, open, or replaces what a known one offers; what is held of it, and whether it
    /// is open, stay as they are. On an error nothing changes.
    pub fn upsert(&mut self, offer: NodeOffer) -> Result<(), OfferError> {
        self.check_owner(&offer)?;
        let key = offer.node;
        let known = self.nodes.get(&key);
        let holds = known.map(|node| node.holds.clone()).unwrap_or_default();
        let open = known.is_none_or(|node| node.open);
        let free = free_under(&offer, &holds)?;
        self.forget_at_site(key);
        self.count_at_site(&offer);
        self.nodes.insert(
            key,
            Node {
                offer,
                open,
                free,
                holds,
            },
        );
        Ok(())
    }

    /// Takes a node out of the fleet. What is held of it must be released first.
    pub fn remove(&mut self, node: NodeKey) -> Result<NodeOffer, RemoveError> {
        let holds = self.get(node)?.holds.len();
        if holds > 0 {
            return Err(RemoveError::StillHeld { node, holds });
        }
        self.forget_at_site(node);
        let removed = self.nodes.remove(&node).ok_or(UnknownNode(node))?;
        Ok(removed.offer)
    }

    /// Opens a node to new replicas, or closes it (draining, suspect): closed, it keeps what it
    /// holds and gets nothing more from [`crate::place()`].
    pub fn set_open(&mut self, node: NodeKey, open: bool) -> Result<(), UnknownNode> {
        self.get_mut(node)?.open = open;
        Ok(())
    }

    /// Holds `shape` on the node, open or not, on the GPUs that a placement now would name; these
    /// are returned.
    pub fn hold(&mut self, node: NodeKey, shape: &Shape) -> Result<GpuSet, HoldError> {
        let ask = Ask::new(*shape)?;
        let short = HoldError::NoRoom {
            node,
            short: Constraint::Gpu,
        };
        let gpus = self.get(node)?.free.choose(ask.gpus()).ok_or(short)?;
        self.get_mut(node)?.take(Hold { ask, gpus })?;
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
        self.get_mut(node)?.take(Hold { ask, gpus })
    }

    /// Releases the youngest hold of this shape, and returns the GPUs it was on. Undoes a `hold`
    /// just made, and is exact for whole GPUs, which are alike; where two replicas hold equal
    /// parts on different GPUs, only [`Fleet::release_on`] frees the right one.
    pub fn release(&mut self, node: NodeKey, shape: &Shape) -> Result<GpuSet, ReleaseError> {
        self.get_mut(node)?
            .give_back(|hold| hold.ask.shape() == shape)
    }

    /// Releases the hold of this shape on these GPUs, as the lease recorded them.
    pub fn release_on(
        &mut self,
        node: NodeKey,
        shape: &Shape,
        gpus: GpuSet,
    ) -> Result<(), ReleaseError> {
        let is_it = |hold: &Hold| hold.ask.shape() == shape && hold.gpus == gpus;
        self.get_mut(node)?.give_back(is_it).map(|_| ())
    }

    /// What is free on the node, or `None` when the fleet does not have it.
    pub fn free(&self, node: NodeKey) -> Option<&Free> {
        self.nodes.get(&node).map(|node| &node.free)
    }

    /// What the node offers, or `None` when the fleet does not have it.
    pub fn offer(&self, node: NodeKey) -> Option<&NodeOffer> {
        self.nodes.get(&node).map(|node| &node.offer)
    }

    /// Whether the node takes new replicas, or `None` when the fleet does not have it.
    pub fn is_open(&self, node: NodeKey) -> Option<bool> {
        self.nodes.get(&node).map(|node| node.open)
    }

    /// All offers, by node key.
    pub fn offers(&self) -> impl Iterator<Item = &NodeOffer> {
        self.nodes.values().map(|node| &node.offer)
    }

    /// The number of nodes, open or not.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is no node at all.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    pub(crate) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values()
    }

    pub(crate) fn sites(&self) -> &BTreeMap<SiteId, Owner> {
        &self.sites
    }

    fn get(&self, node: NodeKey) -> Result<&Node, UnknownNode> {
        self.nodes.get(&node).ok_or(UnknownNode(node))
    }

    fn get_mut(&mut self, node: NodeKey) -> Result<&mut Node, UnknownNode> {
        self.nodes.get_mut(&node).ok_or(UnknownNode(node))
    }

    /// A site has one owner; it may pass to another with the only node that stands there.
    fn check_owner(&self, offer: &NodeOffer) -> Result<(), OfferError> {
        let Some(owner) = self.sites.get(&offer.site) else {
            return Ok(());
        };
        let stands_there = self
            .offer(offer.node)
            .is_some_and(|known| known.site == offer.site);
        let alone = stands_there && owner.nodes == 1;
        if owner.provider == offer.provider || alone {
            return Ok(());
        }
        Err(OfferError::SiteOfAnother {
            site: offer.site,
            owner: owner.provider,
        })
    }

    fn count_at_site(&mut self, offer: &NodeOffer) {
        let new = Owner {
            provider: offer.provider,
            nodes: 0,
        };
        self.sites.entry(offer.site).or_insert(new).nodes += 1;
    }

    fn forget_at_site(&mut self, node: NodeKey) {
        let Some(site) = self.nodes.get(&node).map(|node| node.offer.site) else {
            return;
        };
        if let Entry::Occupied(mut owner) = self.sites.entry(site) {
            owner.get_mut().nodes -= 1;
            if owner.get().nodes == 0 {
                owner.remove();
            }
        }
    }
}

impl Node {
    fn take(&mut self, hold: Hold) -> Result<(), HoldError> {
        let left = self.free.minus(&hold.ask, hold.gpus);
        self.free = left.ok_or_else(|| self.no_room(&hold.ask))?;
        self.holds.push(hold);
        Ok(())
    }

    fn give_back(&mut self, is_it: impl Fn(&Hold) -> bool) -> Result<GpuSet, ReleaseError> {
        let node = self.offer.node;
        let at = self
            .holds
            .iter()
            .rposition(is_it)
            .ok_or(ReleaseError::NotHeld { node })?;
        let hold = self.holds.remove(at);
        self.free.put_back(&hold.ask, hold.gpus);
        Ok(hold.gpus)
    }

    fn no_room(&self, ask: &Ask) -> HoldError {
        let (free, shape) = (&self.free, ask.shape());
        let short = if shape.cpu_milli > free.cpu_milli() {
            Constraint::Cpu
        } else if shape.memory_mib > free.memory_mib() {
            Constraint::Memory
        } else if shape.disk_mib > free.disk_mib() {
            Constraint::Disk
        } else {
            Constraint::Gpu
        };
        HoldError::NoRoom {
            node: self.offer.node,
            short,
        }
    }

    fn sorted_holds(&self) -> Vec<Hold> {
        let mut holds = self.holds.clone();
        holds.sort_unstable();
        holds
    }
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.offer == other.offer
            && self.open == other.open
            && self.free == other.free
            && self.sorted_holds() == other.sorted_holds()
    }
}

impl Eq for Node {}

/// What the holds leave of the capacity offered.
fn free_under(offer: &NodeOffer, holds: &[Hold]) -> Result<Free, OfferError> {
    let gpus = offer.capacity.gpus;
    let all = Free::all(&offer.capacity).ok_or(OfferError::TooManyGpus { gpus })?;
    let left = holds
        .iter()
        .try_fold(all, |free, hold| free.minus(&hold.ask, hold.gpus));
    left.ok_or(OfferError::LessThanHeld {
        node: offer.node,
        holds: holds.len(),
    })
}

#[cfg(test)]
mod tests;
