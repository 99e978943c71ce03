//! Quotas: how much each kind of demand is to take of each cell, as a plan of the whole network has
//! it.
//!
//! A price, congested or not, says what a place costs, and not who can go nowhere else. A plan knows.
//! Where it has set quotas, a request goes to the cell of which its class has most left; among those
//! that are level, and once none is left, the order of preference is what it is without quotas. So
//! a quota steers and never reserves: nothing is refused for want of one.
//!
//! Spending is counted in thousandths of a GPU and is undone exactly by what it returned. What does
//! not belong here: how a plan is made, and how long it holds.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use remuda_types::{Class, Country, NodeKey, Price, SiteId};

use crate::fleet::{Fleet, NodeOffer};
use crate::map::Map;
use crate::request::{Near, Request};

/// Thousandths of one whole GPU.
const WHOLE_GPU_MILLI: u128 = 1_000;

/// What limits requests alike, so that a plan can count them together. Replicas that ask for no
/// GPU are in none: their price is not one by the GPU.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DemandClass {
    classes: Vec<Class>,
    countries: Vec<Country>,
    near: Option<Near>,
    gpu_memory_mib: u64,
    /// The most that a whole GPU may cost by the hour.
    max_gpu_price: Option<Price>,
}

/// What fills up together: the nodes of one class at one site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cell {
    /// The site.
    pub site: SiteId,
    /// The kind of the nodes' GPUs.
    pub class: Class,
}

/// The quotas of one plan, and what is left of them. None at all is the default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quotas {
    /// The plan's number: what was spent of another plan's quotas is not given back to this one's.
    plan: u64,
    classes: Map<DemandClass, usize>,
    shares: Vec<Shares>,
}

/// What is left to one class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Shares {
    left: BTreeMap<Cell, u64>,
    /// Cells of which something is left, the most first.
    order: BTreeSet<(Reverse<u64>, Cell)>,
}

/// What a replica took of its class's quota, to be given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spent {
    plan: u64,
    class: usize,
    cell: Cell,
    gpu_milli: u64,
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
            max_gpu_price: request.max_price.map(|max| by_gpu(max, shape.gpu_milli)),
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

/// What a whole GPU may cost where so much of GPUs may cost `max`; rounded down.
fn by_gpu(max: Price, gpu_milli: u64) -> Price {
    let micros = u128::from(max.micros_per_hour()) * WHOLE_GPU_MILLI / u128::from(gpu_milli);
    Price::from_micros_per_hour(u64::try_from(micros).unwrap_or(u64::MAX))
}

impl Quotas {
    /// The quotas of the plan of this number: a class may take so much of a cell, in thousandths
    /// of a GPU. What is named twice adds up.
    pub fn new(plan: u64, rows: impl IntoIterator<Item = (DemandClass, Cell, u64)>) -> Self {
        let mut by_class: BTreeMap<DemandClass, BTreeMap<Cell, u64>> = BTreeMap::new();
        for (class, cell, gpu_milli) in rows {
            let left = by_class.entry(class).or_default().entry(cell).or_default();
            *left = left.saturating_add(gpu_milli);
        }
        let mut quotas = Self {
            plan,
            ..Self::default()
        };
        for (at, (class, left)) in by_class.into_iter().enumerate() {
            quotas.classes.insert(class, at);
            quotas.shares.push(Shares::new(left));
        }
        quotas
    }

    /// How much is left of the cell to the request's class, in thousandths of a GPU.
    pub fn left(&self, request: &Request, cell: Cell) -> u64 {
        let shares = self.class(request).map(|class| &self.shares[class]);
        let left = shares.and_then(|shares| shares.left.get(&cell));
        left.copied().unwrap_or_default()
    }

    /// Whether any quota says where the request is to go.
    pub(crate) fn steer(&self, request: &Request) -> bool {
        self.class(request)
            .is_some_and(|class| !self.shares[class].order.is_empty())
    }

    /// The cells of which something is left to the request's class, those with most left first;
    /// cells that are level come together.
    pub(crate) fn tiers(&self, request: &Request) -> impl Iterator<Item = Vec<Cell>> {
        let class = self.class(request);
        let order = class
            .into_iter()
            .flat_map(|class| &self.shares[class].order);
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

    fn class(&self, request: &Request) -> Option<usize> {
        if self.shares.is_empty() {
            return None;
        }
        self.classes.get(&DemandClass::of(request)?).copied()
    }

    fn spend(&mut self, request: &Request, cell: Cell) -> Option<Spent> {
        let class = self.class(request)?;
        let shares = &mut self.shares[class];
        let left = shares.left.get(&cell).copied().unwrap_or_default();
        let gpu_milli = left.min(request.shape().gpu_milli);
        if gpu_milli == 0 {
            return None;
        }
        shares.set(cell, left - gpu_milli);
        Some(Spent {
            plan: self.plan,
            class,
            cell,
            gpu_milli,
        })
    }

    fn give_back(&mut self, spent: Spent) {
        if spent.plan != self.plan {
            return;
        }
        if let Some(shares) = self.shares.get_mut(spent.class) {
            let left = shares.left.get(&spent.cell).copied().unwrap_or_default();
            shares.set(spent.cell, left.saturating_add(spent.gpu_milli));
        }
    }
}

impl Shares {
    fn new(left: BTreeMap<Cell, u64>) -> Self {
        let some = left.iter().filter(|(_, left)| **left > 0);
        let order = some.map(|(cell, left)| (Reverse(*left), *cell)).collect();
        Self { left, order }
    }

    fn set(&mut self, cell: Cell, left: u64) {
        if let Some(before) = self.left.insert(cell, left) {
            self.order.remove(&(Reverse(before), cell));
        }
        if left > 0 {
            self.order.insert((Reverse(left), cell));
        }
    }
}

impl Fleet {
    /// Follows these quotas from now on; what was spent of others is forgotten.
    pub fn set_quotas(&mut self, quotas: Quotas) {
        self.quotas = quotas;
    }

    /// The quotas that are followed, and what is left of them.
    pub const fn quotas(&self) -> &Quotas {
        &self.quotas
    }

    /// Counts a replica that goes to this node against the quota of its class: all that it asks
    /// for, or what is left. `None` when its class has none there; it goes there all the same.
    pub fn spend(&mut self, request: &Request, node: NodeKey) -> Option<Spent> {
        let common = &self.stock.pools[self.pool_of(node)? as usize].common;
        let cell = Cell {
            site: common.site,
            class: common.class,
        };
        self.quotas.spend(request, cell)
    }

    /// Undoes [`Fleet::spend`]: of a draft that is given up, or when a replica has left. What was
    /// spent of an earlier plan's quotas changes nothing.
    pub fn give_back_spent(&mut self, spent: Spent) {
        self.quotas.give_back(spent);
    }
}

#[cfg(test)]
mod tests;
