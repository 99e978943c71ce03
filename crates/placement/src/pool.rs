//! Nodes of one owner, at one site, of one class, at nearly one price.
//!
//! What they offer, their capacity and price, may differ a little: those that offer the same are of a kind.
//! Open nodes of a kind that are free alike share a slot, so that a decision looks at states and
//! not at nodes. What does not belong here: which pool is best, and what a state is worth to whom.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use remuda_types::{Capacity, Class, Country, NodeKey, Place, Price, ProviderId, Shape, SiteId};

use crate::brief::Brief;
use crate::fleet::NodeOffer;
use crate::free::Free;
use crate::keys::Keys;
use crate::quotas::Cell;
use crate::quote::quote_of;
use crate::rates::Utmost;
use crate::worth::{Outlook, Value};

/// A pool's number.
pub(crate) type PoolId = u32;
/// The number of a kind in its pool.
pub(crate) type KindId = u32;
/// The number of a slot in its pool; numbers are used again.
pub(crate) type SlotId = u32;

/// How many significant bits of a price tell bands apart.
const BAND_BITS: u32 = 5;

/// What the nodes of a pool have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Common {
    pub(crate) provider: ProviderId,
    pub(crate) site: SiteId,
    pub(crate) country: Country,
    pub(crate) place: Place,
    pub(crate) class: Class,
    pub(crate) band: Band,
}

/// What a GPU costs, or a core where there is none, to a sixteenth or less: so that what the nodes
/// of a pool cost at least is nearly what each costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Band(u64);

/// What the nodes of a kind offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Offering {
    pub(crate) capacity: Capacity,
    pub(crate) price: Price,
}

/// Nodes of a pool that offer the same; none where its number is unused.
#[derive(Clone, Debug)]
pub(crate) struct Kind {
    pub(crate) offering: Offering,
    outlook: Arc<Outlook>,
    pub(crate) nodes: u64,
}

/// The nodes.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    pub(crate) common: Common,
    pub(crate) cell: usize,
    /// The plan that its states are valued under.
    pub(crate) plan: u32,
    pub(crate) nodes: u64,
    pub(crate) closed: u64,
    kinds: Vec<Kind>,
    by_offering: BTreeMap<Offering, KindId>,
    unused_kinds: Vec<KindId>,
    /// What is free in each slot: all that most looks read.
    briefs: Vec<Brief>,
    slots: Vec<Slot>,
    unused_slots: Vec<SlotId>,
    /// Of all kinds.
    pub(crate) utmost: Utmost,
}

/// Open nodes of a kind that are free alike; none when the slot is unused.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) kind: KindId,
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

    /// The lowest of its nodes that is not among these.
    pub(crate) fn first_beside(&self, nodes: &BTreeSet<NodeKey>) -> Option<NodeKey> {
        self.nodes.iter().find(|node| !nodes.contains(node))
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
            band: Band::of(offer),
        }
    }

    /// What fills up together with it.
    pub(crate) const fn cell(&self) -> Cell {
        Cell {
            site: self.site,
            class: self.class,
        }
    }

    pub(crate) fn offer(&self, node: NodeKey, offering: &Offering) -> NodeOffer {
        NodeOffer {
            node,
            provider: self.provider,
            site: self.site,
            country: self.country,
            place: self.place,
            class: self.class,
            capacity: offering.capacity,
            price: offering.price,
        }
    }
}

impl Band {
    fn of(offer: &NodeOffer) -> Self {
        let has = &offer.capacity;
        let units = match has.gpus {
            0 => has.cpu_milli / 1_000,
            gpus => u64::from(gpus),
        };
        let each = offer.price.micros_per_hour() / units.max(1);
        Self(highest_bits(each, BAND_BITS))
    }
}

impl Offering {
    pub(crate) const fn of(offer: &NodeOffer) -> Self {
        Self {
            capacity: offer.capacity,
            price: offer.price,
        }
    }

    /// What a shape costs.
    pub(crate) fn quote(&self, shape: &Shape) -> Price {
        quote_of(self.price, &self.capacity, shape)
    }
}

impl Kind {
    pub(crate) fn outlook(&self) -> &Outlook {
        &self.outlook
    }
}

impl Pool {
    pub(crate) fn new(common: Common, cell: usize, plan: u32) -> Self {
        Self {
            common,
            cell,
            plan,
            nodes: 0,
            closed: 0,
            kinds: Vec::new(),
            by_offering: BTreeMap::new(),
            unused_kinds: Vec::new(),
            briefs: Vec::new(),
            slots: Vec::new(),
            unused_slots: Vec::new(),
            utmost: Utmost::default(),
        }
    }

    /// A kind that some node is, or was just made for one.
    pub(crate) fn kind(&self, kind: KindId) -> &Kind {
        &self.kinds[kind as usize]
    }

    /// The kinds that nodes are of.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = (KindId, &Kind)> {
        let kinds = (0..).zip(&self.kinds);
        kinds.filter(|(_, kind)| kind.nodes > 0)
    }

    pub(crate) fn kind_of(&self, offering: &Offering) -> Option<KindId> {
        self.by_offering.get(offering).copied()
    }

    /// Makes a kind that the pool does not have.
    pub(crate) fn add_kind(&mut self, offering: Offering, outlook: Arc<Outlook>) -> KindId {
        let kind = Kind {
            offering,
            outlook,
            nodes: 0,
        };
        let id = if let Some(id) = self.unused_kinds.pop() {
            self.kinds[id as usize] = kind;
            id
        } else {
            self.kinds.push(kind);
            number(self.kinds.len() - 1)
        };
        self.by_offering.insert(offering, id);
        self.utmost = self.utmost.and(Utmost::of(&offering));
        id
    }

    /// Forgets a kind that its last node has left.
    pub(crate) fn retire_if_empty(&mut self, id: KindId) {
        let kind = &self.kinds[id as usize];
        let offering = kind.offering;
        if kind.nodes == 0 && self.by_offering.remove(&offering).is_some() {
            self.unused_kinds.push(id);
            if self.utmost.touches(&Utmost::of(&offering)) {
                self.utmost = self.utmost_anew();
            }
        }
    }

    /// What the kinds offer at the utmost, worked out from nothing.
    pub(crate) fn utmost_anew(&self) -> Utmost {
        let offerings = self.by_offering.keys();
        offerings
            .map(Utmost::of)
            .fold(Utmost::default(), Utmost::and)
    }

    /// Slots that may have room for what is asked.
    pub(crate) fn roomy(&self, asked: Brief) -> impl Iterator<Item = &Slot> {
        let briefs = self.briefs.iter().zip(&self.slots);
        let roomy = briefs.filter(move |(brief, _)| brief.may_have(asked));
        // What asks for less than a unit may have room where no node is.
        roomy
            .map(|(_, slot)| slot)
            .filter(|slot| !slot.nodes.is_empty())
    }

    /// The states that open nodes are in.
    pub(crate) fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter().filter(|slot| !slot.nodes.is_empty())
    }

    /// Counts a node in, open or not.
    pub(crate) fn count_in(&mut self, kind: KindId, open: bool) {
        self.nodes += 1;
        self.closed += u64::from(!open);
        self.kinds[kind as usize].nodes += 1;
    }

    /// Undoes [`Pool::count_in`].
    pub(crate) fn count_out(&mut self, kind: KindId, open: bool) {
        self.nodes -= 1;
        self.closed -= u64::from(!open);
        self.kinds[kind as usize].nodes -= 1;
    }

    /// Puts an open node under what is free on it; says into which slot.
    pub(crate) fn enter(&mut self, node: NodeKey, kind: KindId, free: &Free) -> SlotId {
        let (brief, free) = (Brief::of(free), free.sorted());
        let found = self.find(kind, brief, &free);
        let slot = found.unwrap_or_else(|| self.open_slot(kind, brief, free));
        self.slots[slot as usize].nodes.insert(node);
        slot
    }

    /// Undoes [`Pool::enter`].
    pub(crate) fn leave(&mut self, node: NodeKey, id: SlotId) {
        let slot = &mut self.slots[id as usize];
        slot.nodes.remove(node);
        if slot.nodes.is_empty() {
            self.briefs[id as usize] = Brief::default();
            self.unused_slots.push(id);
        }
    }

    fn find(&self, kind: KindId, brief: Brief, free: &Free) -> Option<SlotId> {
        let alike = (0..).zip(&self.briefs).filter(|(_, of)| **of == brief);
        let is_it = |id: &SlotId| {
            let slot = &self.slots[*id as usize];
            slot.kind == kind && slot.free == *free && !slot.nodes.is_empty()
        };
        alike.map(|(id, _)| id).find(is_it)
    }

    fn open_slot(&mut self, kind: KindId, brief: Brief, free: Free) -> SlotId {
        let slot = Slot {
            kind,
            value: self.kind(kind).outlook.value(&free),
            free,
            nodes: Keys::default(),
        };
        if let Some(id) = self.unused_slots.pop() {
            (self.slots[id as usize], self.briefs[id as usize]) = (slot, brief);
            return id;
        }
        self.slots.push(slot);
        self.briefs.push(brief);
        number(self.slots.len() - 1)
    }

    /// Values the states anew, under another plan; `outlook` is what it says of such GPUs.
    pub(crate) fn see(&mut self, mut outlook: impl FnMut(u64) -> Arc<Outlook>, plan: u32) {
        self.plan = plan;
        for kind in &mut self.kinds {
            kind.outlook = outlook(kind.offering.capacity.gpu_memory_mib);
        }
        let used = self.slots.iter_mut().filter(|slot| !slot.nodes.is_empty());
        for slot in used {
            slot.value = self.kinds[slot.kind as usize].outlook.value(&slot.free);
        }
    }
}

/// The amount rounded down to so many significant bits.
const fn highest_bits(amount: u64, keep: u32) -> u64 {
    let dropped = (u64::BITS - amount.leading_zeros()).saturating_sub(keep);
    amount >> dropped << dropped
}

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
