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
use remuda_types::{Class, Country, NodeKey, Price, SiteId};

use crate::fleet::{Fleet, NodeOffer};
use crate::request::{Near, Request};

/// Thousandths of one whole GPU.
const WHOLE_GPU_MILLI: u128 = 1_000;

/// What limits requests alike, so that a plan can count them together. Replicas that ask for no
/// GPU are in none: their price is not one by the GPU.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct DemandClass {
    #[n(0)]
    classes: Vec<Class>,
    #[n(1)]
    countries: Vec<Country>,
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
    classes: BTreeMap<DemandClass, Shares>,
}

/// What one class has and is to have, in thousandths of a GPU; nothing where a cell is not named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Shares {
    held: BTreeMap<Cell, u64>,
    quota: BTreeMap<Cell, u64>,
    /// Cells of whose quota something is left, the most first.
    order: BTreeSet<(Reverse<u64>, Cell)>,
}

impl DemandClass {
    /// The class of a request, unless it asks for no GPU.
    pub fn of(request: &Request) -> Option<Self> {
        let shape = request.shape();
        if shape.gpu_milli == 0 {
            return None;
        }
        Some(Self {
            classes: sorted(&request.classes),
            countries: sorted(&request.countries),
            near: request.near,
            gpu_memory_mib: shape.gpu_memory_mib,
            max_gpu_price: request.max_price.map(|max| at_most(max, shape.gpu_milli)),
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

fn sorted<T: Copy + Ord>(list: &[T]) -> Vec<T> {
    let mut list = list.to_vec();
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

    /// What each class has of each cell, in thousandths of a GPU.
    pub fn held(&self) -> impl Iterator<Item = (&DemandClass, &BTreeMap<Cell, u64>)> {
        self.classes
            .iter()
            .map(|(class, shares)| (class, &shares.held))
    }

    /// What this class has of each cell, in thousandths of a GPU.
    pub fn held_by(&self, class: &DemandClass) -> Option<&BTreeMap<Cell, u64>> {
        self.classes.get(class).map(|shares| &shares.held)
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
        if !self.classes.contains_key(class) {
            self.classes.insert(class.clone(), Shares::default());
        }
        if let Some(shares) = self.classes.get_mut(class) {
            shares.hold(cell, |held| held.saturating_add(gpu_milli));
        }
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

    fn left(&self, cell: Cell) -> u64 {
        let of = |amounts: &BTreeMap<Cell, u64>| amounts.get(&cell).copied().unwrap_or_default();
        of(&self.quota).saturating_sub(of(&self.held))
    }

    /// Brings the order up to date with quotas that were set anew.
    fn sort(&mut self) {
        let left = self.quota.keys().map(|cell| (self.left(*cell), *cell));
        let order = left.filter(|(left, _)| *left > 0);
        self.order = order.map(|(left, cell)| (Reverse(left), cell)).collect();
    }

    fn hold(&mut self, cell: Cell, change: impl FnOnce(u64) -> u64) {
        let before = self.left(cell);
        let held = change(self.held.get(&cell).copied().unwrap_or_default());
        if held == 0 {
            self.held.remove(&cell);
        } else {
            self.held.insert(cell, held);
        }
        let after = self.left(cell);
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

#[cfg(test)]
mod tests;
