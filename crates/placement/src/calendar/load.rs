//! How much more, or less, of a node is booked: sums and the highest of them.

use remuda_types::Shape;
use smallvec::SmallVec;

use crate::amounts::{Amounts, milli_each};
use crate::free::GpuSet;

/// A difference in amounts of a node. No sum of bookings that there can be overflows it.
#[derive(Clone, Debug, Default)]
pub(super) struct Load {
    /// Thousandths of each GPU, by index; of those after the last there is no difference.
    gpus: SmallVec<[i64; 8]>,
    /// CPU in thousandths of a core, memory and disk in MiB.
    beside_gpus: [i128; 3],
}

impl Load {
    /// What a shape takes on these GPUs.
    pub(super) fn of(shape: &Shape, gpus: GpuSet) -> Self {
        let mut load = Self {
            gpus: SmallVec::new(),
            beside_gpus: [shape.cpu_milli, shape.memory_mib, shape.disk_mib].map(i128::from),
        };
        let each = i64::from(milli_each(shape));
        for index in gpus.indices() {
            load.gpus.resize(index + 1, 0);
            load.gpus[index] = each;
        }
        load
    }

    /// The same in the other direction.
    pub(super) fn back(&self) -> Self {
        Self {
            gpus: self.gpus.iter().map(|milli| -milli).collect(),
            beside_gpus: self.beside_gpus.map(|amount| -amount),
        }
    }

    /// Whether it makes no difference.
    pub(super) fn is_nothing(&self) -> bool {
        self.gpus.iter().all(|milli| *milli == 0) && self.beside_gpus == [0; 3]
    }

    /// Adds the other.
    pub(super) fn add(&mut self, other: &Self) {
        self.reach(other);
        for (milli, more) in self.gpus.iter_mut().zip(&other.gpus) {
            *milli += more;
        }
        for (amount, more) in self.beside_gpus.iter_mut().zip(&other.beside_gpus) {
            *amount += more;
        }
    }

    /// Becomes the larger of both in each thing.
    pub(super) fn raise(&mut self, other: &Self) {
        self.reach(other);
        let others = other.gpus.iter().copied().chain(std::iter::repeat(0));
        for (milli, other) in self.gpus.iter_mut().zip(others) {
            *milli = (*milli).max(other);
        }
        for (amount, other) in self.beside_gpus.iter_mut().zip(other.beside_gpus) {
            *amount = (*amount).max(other);
        }
    }

    /// Becomes the larger of itself and the sum of two others.
    pub(super) fn raise_to_sum(&mut self, one: &Self, other: &Self) {
        let mut sum = one.clone();
        sum.add(other);
        self.raise(&sum);
    }

    fn reach(&mut self, other: &Self) {
        if self.gpus.len() < other.gpus.len() {
            self.gpus.resize(other.gpus.len(), 0);
        }
    }

    /// As amounts; what is below nothing counts as nothing.
    pub(super) fn amounts(&self) -> Amounts {
        let milli = |milli: &i64| u16::try_from((*milli).max(0)).unwrap_or(u16::MAX);
        let beside_gpus = self.beside_gpus;
        let beside_gpus = beside_gpus.map(|more| u64::try_from(more.max(0)).unwrap_or(u64::MAX));
        Amounts::new(self.gpus.iter().map(milli), beside_gpus)
    }
}
