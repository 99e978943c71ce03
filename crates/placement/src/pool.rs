//! Nodes that are alike but for what is free on them: one owner, site, class, capacity and price.
//!
//! Open nodes that are free alike share a slot, so that a decision looks at states and not at
//! nodes. What does not belong here: which pool is best, and what a state is worth to whom.

use std::collections::BTreeSet;
use std::sync::Arc;

use remuda_types::{Capacity, Class, Country, NodeKey, Place, Price, ProviderId, Shape, SiteId};

use crate::ask::Ask;
use crate::fleet::NodeOffer;
use crate::free::Free;
use crate::keys::Keys;
use crate::log::Log;
use crate::map::Map;
use crate::quote::quote_of;
use crate::room::Room;
use crate::worth::{Loss, Outlook, Value};

/// A pool's number.
pub(crate) type PoolId = u32;

/// What the nodes of a pool have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Common {
    pub(crate) provider: ProviderId,
    pub(crate) site: SiteId,
    pub(crate) country: Country,
    pub(crate) place: Place,
    pub(crate) class: Class,
    pub(crate) capacity: Capacity,
    pub(crate) price: Price,
}

/// Nodes that are alike.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    pub(crate) common: Common,
    pub(crate) cell: usize,
    pub(crate) market: usize,
    /// What the whole node counts as when places are compared: its price with congestion.
    pub(crate) effective: Price,
    outlook: Arc<Outlook>,
    /// The plan that the outlook is of.
    pub(crate) plan: u32,
    /// Tells the pool from others that had its number before.
    pub(crate) incarnation: u32,
    pub(crate) nodes: u64,
    pub(crate) closed: u64,
    slots: Vec<Slot>,
    unused: Vec<SlotId>,
    by_free: Map<Free, SlotId>,
    /// The most that any of the states has.
    pub(crate) room: Room,
    /// States that open nodes came to be in.
    pub(crate) log: Log<Entry>,
    births: u32,
}

/// A slot's number; numbers are used again.
type SlotId = u32;

/// A slot and when it came to be, so that another under the same number is not taken for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    slot: SlotId,
    birth: u32,
}

/// Open nodes that are free alike; none when the slot is unused.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    birth: u32,
    pub(crate) free: Free,
    pub(crate) value: Value,
    pub(crate) nodes: Keys,
}

impl Slot {
    /// How many of its nodes are among these.
    pub(crate) fn among(&self, nodes: &BTreeSet<NodeKey>) -> usize {
        nodes
            .iter()
            .filter(|node| self.nodes.contains(**node))
            .count()
    }
}

impl Common {
    pub(crate) fn of(offer: &NodeOffer) -> Self {
        Self {
            provider: offer.provider,
            site: offer.site,
            country: offer.country,
            place: offer.place,
            class: offer.class,
            capacity: offer.capacity,
            price: offer.price,
        }
    }

    pub(crate) fn offer(&self, node: NodeKey) -> NodeOffer {
        NodeOffer {
            node,
            provider: self.provider,
            site: self.site,
            country: self.country,
            place: self.place,
            class: self.class,
            capacity: self.capacity,
            price: self.price,
        }
    }

    pub(crate) fn quote(&self, shape: &Shape) -> Price {
        quote_of(self.price, &self.capacity, shape)
    }
}

impl Pool {
    pub(crate) fn new(
        common: Common,
        (cell, market): (usize, usize),
        effective: Price,
        (outlook, plan): (Arc<Outlook>, u32),
    ) -> Self {
        Self {
            common,
            cell,
            market,
            effective,
            outlook,
            plan,
            incarnation: 0,
            nodes: 0,
            closed: 0,
            slots: Vec::new(),
            unused: Vec::new(),
            by_free: Map::default(),
            room: Room::default(),
            log: Log::default(),
            births: 0,
        }
    }

    /// What a shape counts as here when places are compared.
    pub(crate) fn cost(&self, shape: &Shape) -> u64 {
        quote_of(self.effective, &self.common.capacity, shape).micros_per_hour()
    }

    /// What a replica costs the rest of a node in this state.
    pub(crate) fn loss(&self, slot: &Slot, ask: &Ask) -> Loss {
        self.outlook.loss(slot.value, &slot.free, ask)
    }

    /// The states that open nodes are in.
    pub(crate) fn slots(&self) -> impl Iterator<Item = (Entry, &Slot)> {
        let used = (0..)
            .zip(&self.slots)
            .filter(|(_, slot)| !slot.nodes.is_empty());
        used.map(|(slot, found)| {
            let birth = found.birth;
            (Entry { slot, birth }, found)
        })
    }

    /// How many states open nodes are in.
    pub(crate) fn states(&self) -> usize {
        self.by_free.len()
    }

    /// The slot, if nodes are still in it.
    pub(crate) fn slot(&self, entry: Entry) -> Option<&Slot> {
        let slot = &self.slots[entry.slot as usize];
        (slot.birth == entry.birth && !slot.nodes.is_empty()).then_some(slot)
    }

    /// Counts an open node under what is free on it.
    pub(crate) fn enter(&mut self, node: NodeKey, free: &Free) {
        let free = free.sorted();
        let slot = match self.by_free.get(&free) {
            Some(&slot) => slot,
            None => self.open_slot(free),
        };
        self.slots[slot as usize].nodes.insert(node);
    }

    /// Undoes [`Pool::enter`].
    pub(crate) fn leave(&mut self, node: NodeKey, free: &Free) {
        let free = free.sorted();
        let Some(&id) = self.by_free.get(&free) else {
            return;
        };
        let slot = &mut self.slots[id as usize];
        slot.nodes.remove(node);
        if slot.nodes.is_empty() {
            self.by_free.remove(&free);
            self.room.remove(&free);
            self.unused.push(id);
        }
    }

    fn open_slot(&mut self, free: Free) -> SlotId {
        self.births = self.births.wrapping_add(1);
        let birth = self.births;
        let new = Slot {
            birth,
            value: self.outlook.value(&free),
            free: free.clone(),
            nodes: Keys::default(),
        };
        let slot = if let Some(slot) = self.unused.pop() {
            self.slots[slot as usize] = new;
            slot
        } else {
            self.slots.push(new);
            SlotId::try_from(self.slots.len() - 1).unwrap_or(SlotId::MAX)
        };
        self.room.add(&free);
        self.by_free.insert(free, slot);
        let keep = self.by_free.len() + 16;
        self.log.push(Entry { slot, birth }, keep);
        slot
    }

    /// Values the states anew, under another plan.
    pub(crate) fn see(&mut self, outlook: Arc<Outlook>, plan: u32) {
        (self.outlook, self.plan) = (outlook, plan);
        let used = self.slots.iter_mut().filter(|slot| !slot.nodes.is_empty());
        for slot in used {
            slot.value = self.outlook.value(&slot.free);
        }
    }
}
