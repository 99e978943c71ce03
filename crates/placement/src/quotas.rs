//! Quotas: how much of each cell each kind of demand is to have, as a plan of the whole network has
//! it, and how much it has.
//!
//! A price, congested or not, says what a place costs, and not who can go nowhere else. A plan knows.
//! Where it has set quotas, a request goes to the cell of whose quota its class has most left; among
//! those that are level, and once none is left, the order of preference is what it is without quotas.
//! So a quota steers and never reserves: nothing is refused for want of one.
//!
//! A quota is what the class is to have in all, so what a replica leaves may be taken again, and a new
//! plan needs to know nothing of what was placed under the old one. What does not belong here: how a
//! plan is made, and how long it holds.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use minicbor::{Decode, Encode};
use remuda_types::{Class, Country, NodeKey, Price, Shape, SiteId};
use smallvec::SmallVec;

use crate::fleet::{Fleet, NodeOffer};
use crate::map::Map;
use crate::request::{Near, Request};

/// Thousandths of one whole GPU.
const WHOLE_GPU_MILLI: u128 = 1_000;

/// What limits requests alike, so that a plan can count them together. Replicas that ask for no
/// GPU are in none: their price is not one by the GPU.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct DemandClass {
    #[cbor(n(0), with = "few")]
    classes: SmallVec<[Class; 2]>,
    #[cbor(n(1), with = "few")]
    countries: SmallVec<[Country; 4]>,
    #[n(2)]
    near: Option<Near>,
    #[n(3)]
    gpu_memory_mib: u64,
    /// The most that a whole GPU may cost by the hour.
    #[n(4)]
    max_gpu_price: Option<Price>,
}

/// What fills up together: the nodes of one class at one site.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, serde::Serialize,
)]
#[cbor(map)]
pub struct Cell {
    /// The site.
    #[n(0)]
    pub site: SiteId,
    /// The kind of the nodes' GPUs.
    #[n(1)]
    pub class: Class,
}

/// What a class is to have of a cell.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Quota {
    /// The kind of demand.
    #[n(0)]
    pub class: DemandClass,
    /// The cell.
    #[n(1)]
    pub cell: Cell,
    /// How much in all, in thousandths of a GPU.
    #[n(2)]
    pub gpu_milli: u64,
}

/// What each class has of each cell, and what it is to have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quotas {
    classes: Map<DemandClass, Shares>,
}

/// What one class has and is to have, in thousandths of a GPU; nothing where a cell is not named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Shares {
    held: Map<Cell, u64>,
    quota: Map<Cell, u64>,
    /// Cells of whose quota something is left, the most first.
    order: BTreeSet<(Reverse<u64>, Cell)>,
}

impl DemandClass {
    /// The class of a request, unless it asks for no GPU.
    pub fn of(request: &Request) -> Option<Self> {
        let lists = (&request.classes[..], &request.countries[..]);
        Self::new(request.shape(), lists, request.near, request.max_price)
    }

    /// The class of what asks for this shape, on one of these classes of node and in one of these
    /// countries (any, where a list is empty), unless it asks for no GPU.
    pub fn new(
        shape: &Shape,
        (classes, countries): (&[Class], &[Country]),
        near: Option<Near>,
        max_price: Option<Price>,
    ) -> Option<Self> {
        if shape.gpu_milli == 0 {
            return None;
        }
        Some(Self {
            classes: sorted(classes),
            countries: sorted(countries),
            near,
            gpu_memory_mib: shape.gpu_memory_mib,
            max_gpu_price: max_price.map(|max| at_most(max, shape.gpu_milli)),
        })
    }

    /// Whether nodes of this offer will do for the class, whatever is free on them.
    pub fn may_go_to(&self, offer: &NodeOffer) -> bool {
        let of =
            |near: Near| near.place.distance_km(offer.place) <= f64::from(near.max_distance_km);
        let gpu_milli = u64::from(offer.capacity.gpus) * 1_000;
        gpu_milli > 0
            && (self.classes.is_empty() || self.classes.contains(&offer.class))
            && (self.countries.is_empty() || self.countries.contains(&offer.country))
            && self.near.is_none_or(of)
            && self.gpu_memory_mib <= offer.capacity.gpu_memory_mib
            && self
                .max_gpu_price
                .is_none_or(|max| by_gpu(offer.price, gpu_milli) <= max)
    }
}

fn sorted<T: Copy + Ord, const N: usize>(list: &[T]) -> SmallVec<[T; N]> {
    let mut list = SmallVec::from_slice(list);
    list.sort_unstable();
    list.dedup();
    list
}

/// The most that a whole GPU may cost where a quote for so much of GPUs may be `max`. A quote is
/// rounded down, so it may be a little more than the part of `max` that a GPU is.
fn at_most(max: Price, gpu_milli: u64) -> Price {
    let micros = u128::from(max.micros_per_hour()) * WHOLE_GPU_MILLI + (WHOLE_GPU_MILLI - 1);
    let micros = micros / u128::from(gpu_milli);
    Price::from_micros_per_hour(u64::try_from(micros).unwrap_or(u64::MAX))
}

/// What a whole GPU costs where so much of GPUs costs `max`; rounded down.
fn by_gpu(max: Price, gpu_milli: u64) -> Price {
    let micros = u128::from(max.micros_per_hour()) * WHOLE_GPU_MILLI / u128::from(gpu_milli);
    Price::from_micros_per_hour(u64::try_from(micros).unwrap_or(u64::MAX))
}

impl Quotas {
    /// How much is left of the cell's quota to the request's class, in thousandths of a GPU.
    pub fn left(&self, request: &Request, cell: Cell) -> u64 {
        self.shares(request).map_or(0, |shares| shares.left(cell))
    }

    /// What each class has of each cell, in thousandths of a GPU, in order. Put in order anew for
    /// each who asks.
    pub fn held(&self) -> impl Iterator<Item = (&DemandClass, BTreeMap<Cell, u64>)> {
        let mut classes: Vec<_> = self.classes.iter().collect();
        classes.sort_unstable_by_key(|(class, _)| *class);
        let classes = classes.into_iter();
        classes.map(|(class, shares)| (class, shares.held_in_order()))
    }

    /// What this class has of each cell, in thousandths of a GPU.
    pub fn held_by(&self, class: &DemandClass) -> Option<BTreeMap<Cell, u64>> {
        self.classes.get(class).map(Shares::held_in_order)
    }

    /// Whether any quota says where the request is to go.
    pub(crate) fn steer(&self, request: &Request) -> bool {
        self.shares(request)
            .is_some_and(|shares| !shares.order.is_empty())
    }

    /// The cells of whose quota something is left to the request's class, those with most left
    /// first; cells that are level come together.
    pub(crate) fn tiers(&self, request: &Request) -> impl Iterator<Item = Vec<Cell>> {
        let shares = self.shares(request);
        let order = shares.into_iter().flat_map(|shares| &shares.order);
        let mut order = order.peekable();
        std::iter::from_fn(move || {
            let &(left, first) = order.next()?;
            let mut tier = vec![first];
            while let Some((_, cell)) = order.next_if(|(other, _)| *other == left) {
                tier.push(*cell);
            }
            Some(tier)
        })
    }

    fn shares(&self, request: &Request) -> Option<&Shares> {
        if self.classes.is_empty() {
            return None;
        }
        self.classes.get(&DemandClass::of(request)?)
    }

    fn set(&mut self, quotas: impl IntoIterator<Item = Quota>) {
        for shares in self.classes.values_mut() {
            shares.quota.clear();
        }
        for of in quotas.into_iter().filter(|of| of.gpu_milli > 0) {
            let shares = self.classes.entry(of.class).or_default();
            let quota = shares.quota.entry(of.cell).or_default();
            *quota = quota.saturating_add(of.gpu_milli);
        }
        self.classes.retain(|_, shares| !shares.is_empty());
        for shares in self.classes.values_mut() {
            shares.sort();
        }
    }

    fn count_in(&mut self, class: &DemandClass, cell: Cell, gpu_milli: u64) {
        if gpu_milli == 0 {
            return;
        }
        let shares = self.classes.entry_ref(class).or_default();
        shares.hold(cell, |held| held.saturating_add(gpu_milli));
    }

    fn count_out(&mut self, class: &DemandClass, cell: Cell, gpu_milli: u64) {
        let Some(shares) = self.classes.get_mut(class) else {
            return;
        };
        shares.hold(cell, |held| held.saturating_sub(gpu_milli));
        if shares.is_empty() {
            self.classes.remove(class);
        }
    }
}

impl Shares {
    fn is_empty(&self) -> bool {
        self.held.is_empty() && self.quota.is_empty()
    }

    fn held_in_order(&self) -> BTreeMap<Cell, u64> {
        self.held
            .iter()
            .map(|(cell, held)| (*cell, *held))
            .collect()
    }

    fn left(&self, cell: Cell) -> u64 {
        let of = |amounts: &Map<Cell, u64>| amounts.get(&cell).copied().unwrap_or_default();
        of(&self.quota).saturating_sub(of(&self.held))
    }

    /// Brings the order up to date with quotas that were set anew.
    fn sort(&mut self) {
        let left = self.quota.keys().map(|cell| (self.left(*cell), *cell));
        let order = left.filter(|(left, _)| *left > 0);
        self.order = order.map(|(left, cell)| (Reverse(left), cell)).collect();
    }

    fn hold(&mut self, cell: Cell, change: impl FnOnce(u64) -> u64) {
        let held = self.held.entry(cell).or_default();
        let before = *held;
        *held = change(before);
        let after = *held;
        if after == 0 {
            self.held.remove(&cell);
        }
        let Some(quota) = self.quota.get(&cell) else {
            return;
        };
        let (before, after) = (quota.saturating_sub(before), quota.saturating_sub(after));
        if before != after {
            self.order.remove(&(Reverse(before), cell));
            if after > 0 {
                self.order.insert((Reverse(after), cell));
            }
        }
    }
}

impl Fleet {
    /// Follows these quotas from now on, and no others. What is named twice adds up.
    pub fn set_quotas(&mut self, quotas: impl IntoIterator<Item = Quota>) {
        self.quotas.set(quotas);
    }

    /// What each class has, and what is left of its quotas.
    pub const fn quotas(&self) -> &Quotas {
        &self.quotas
    }

    /// Counts a replica of this class that is on this node, in thousandths of a GPU. To hold the
    /// node's capacity is another matter.
    pub fn count_in(&mut self, class: &DemandClass, node: NodeKey, gpu_milli: u64) {
        if let Some(cell) = self.cell_of(node) {
            self.quotas.count_in(class, cell, gpu_milli);
        }
    }

    /// Undoes [`Fleet::count_in`]: of a draft that is given up, or when a replica has left.
    pub fn count_out(&mut self, class: &DemandClass, node: NodeKey, gpu_milli: u64) {
        if let Some(cell) = self.cell_of(node) {
            self.quotas.count_out(class, cell, gpu_milli);
        }
    }

    /// The cell that a node is in.
    pub fn cell_of(&self, node: NodeKey) -> Option<Cell> {
        let common = &self.stock.pools[self.pool_of(node)? as usize].common;
        Some(Cell {
            site: common.site,
            class: common.class,
        })
    }
}

/// A list that is mostly short, as any other list is written.
mod few {
    use minicbor::decode::{self, Decode, Decoder};
    use minicbor::encode::{self, Encode, Encoder, Write};
    use smallvec::SmallVec;

    pub(super) fn encode<C, T: Encode<C>, W: Write, const N: usize>(
        list: &SmallVec<[T; N]>,
        e: &mut Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        list.as_slice().encode(e, ctx)
    }

    pub(super) fn decode<'b, C, T: Decode<'b, C>, const N: usize>(
        d: &mut Decoder<'b>,
        ctx: &mut C,
    ) -> Result<SmallVec<[T; N]>, decode::Error> {
        Vec::decode(d, ctx).map(SmallVec::from_vec)
    }
}

#[cfg(test)]
mod tests;
