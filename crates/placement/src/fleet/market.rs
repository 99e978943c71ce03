//! Pools of one kind of node in the order of their prices.
//!
//! What a shape takes of a node depends on the node's capacity alone; so for nodes of one class and
//! capacity the order by what they cost is the same for every shape, seen before or not. A search
//! walks it from the cheapest.

use remuda_types::{Capacity, Class, Price, Shape};

use crate::ask::Ask;
use crate::pool::PoolId;
use crate::quote::quote_of;

/// Nodes of one class and capacity.
#[derive(Clone, Debug)]
pub(crate) struct Market {
    pub(crate) class: Class,
    pub(crate) capacity: Capacity,
    /// Ascending by price, then by pool.
    rows: Vec<Row>,
}

/// A pool on the market, and what a whole node of it counts as, congestion included.
pub(crate) type Row = (Price, PoolId);

impl Market {
    pub(crate) const fn new(class: Class, capacity: Capacity) -> Self {
        Self {
            class,
            capacity,
            rows: Vec::new(),
        }
    }

    /// The pools from the cheapest on.
    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// What a shape counts as where a whole node counts as this.
    pub(crate) fn cost(&self, price: Price, shape: &Shape) -> u64 {
        quote_of(price, &self.capacity, shape).micros_per_hour()
    }

    /// Whether a whole node would do for the ask, were it empty.
    pub(crate) fn could_take(&self, ask: &Ask) -> bool {
        let (shape, has) = (ask.shape(), &self.capacity);
        ask.gpus().count() <= u64::from(has.gpus)
            && shape.gpu_memory_mib <= has.gpu_memory_mib
            && shape.cpu_milli <= has.cpu_milli
            && shape.memory_mib <= has.memory_mib
            && shape.disk_mib <= has.disk_mib
    }

    /// Puts a pool on the market.
    pub(crate) fn list(&mut self, row: Row) {
        let at = self.rows.partition_point(|other| *other < row);
        self.rows.insert(at, row);
    }

    /// Takes a pool that was listed off the market.
    pub(crate) fn withdraw(&mut self, row: Row) {
        if let Ok(at) = self.rows.binary_search(&row) {
            self.rows.remove(at);
        }
    }
}
