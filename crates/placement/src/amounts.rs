//! How much of a node several things take together, GPU by GPU.

use remuda_types::Shape;
use smallvec::SmallVec;

use crate::ask::WHOLE_GPU_MILLI;
use crate::free::GpuSet;

/// Amounts of a node: a sum, without what it is the sum of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// Thousandths of each GPU, by index; those after the last are not touched.
    gpus: SmallVec<[u16; 8]>,
    cpu_milli: u64,
    memory_mib: u64,
    disk_mib: u64,
}

/// What a shape takes of each GPU that it is on, in thousandths.
pub(crate) fn milli_each(shape: &Shape) -> u16 {
    let each = u16::try_from(shape.gpu_milli).unwrap_or(WHOLE_GPU_MILLI);
    each.min(WHOLE_GPU_MILLI)
}

impl Amounts {
    /// What these shapes take on these GPUs.
    pub fn of<'a>(parts: impl IntoIterator<Item = &'a (Shape, GpuSet)>) -> Self {
        let mut sum = Self::default();
        for (shape, gpus) in parts {
            sum.add(shape, *gpus);
        }
        sum
    }

    /// Thousandths of each GPU, by index; CPU in thousandths of a core, memory and disk in MiB.
    pub(crate) fn new(
        gpus: impl Iterator<Item = u16>,
        [cpu_milli, memory_mib, disk_mib]: [u64; 3],
    ) -> Self {
        Self {
            gpus: gpus.collect(),
            cpu_milli,
            memory_mib,
            disk_mib,
        }
    }

    fn add(&mut self, shape: &Shape, gpus: GpuSet) {
        let each = milli_each(shape);
        for index in gpus.indices() {
            if index >= self.gpus.len() {
                self.gpus.resize(index + 1, 0);
            }
            self.gpus[index] = self.gpus[index].saturating_add(each);
        }
        self.cpu_milli = self.cpu_milli.saturating_add(shape.cpu_milli);
        self.memory_mib = self.memory_mib.saturating_add(shape.memory_mib);
        self.disk_mib = self.disk_mib.saturating_add(shape.disk_mib);
    }

    /// The sum of both.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        self.each(other, u16::saturating_add, u64::saturating_add)
    }

    /// Of each thing the larger amount.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        self.each(other, u16::max, u64::max)
    }

    fn each(&self, other: &Self, gpu: fn(u16, u16) -> u16, rest: fn(u64, u64) -> u64) -> Self {
        let of = |gpus: &[u16], index: usize| gpus.get(index).copied().unwrap_or_default();
        let count = self.gpus.len().max(other.gpus.len());
        Self {
            gpus: (0..count)
                .map(|index| gpu(of(&self.gpus, index), of(&other.gpus, index)))
                .collect(),
            cpu_milli: rest(self.cpu_milli, other.cpu_milli),
            memory_mib: rest(self.memory_mib, other.memory_mib),
            disk_mib: rest(self.disk_mib, other.disk_mib),
        }
    }

    /// What of it is more than `other`: what is left to take when `other` lies on top of it.
    #[must_use]
    pub fn beyond(&self, other: &Self) -> Self {
        let over = |(index, milli): (usize, &u16)| {
            let other = other.gpus.get(index).copied().unwrap_or_default();
            milli.saturating_sub(other)
        };
        Self {
            gpus: self.gpus.iter().enumerate().map(over).collect(),
            cpu_milli: self.cpu_milli.saturating_sub(other.cpu_milli),
            memory_mib: self.memory_mib.saturating_sub(other.memory_mib),
            disk_mib: self.disk_mib.saturating_sub(other.disk_mib),
        }
    }

    /// Whether it is nothing at all.
    pub fn is_nothing(&self) -> bool {
        let Self {
            gpus,
            cpu_milli,
            memory_mib,
            disk_mib,
        } = self;
        let beside = [*cpu_milli, *memory_mib, *disk_mib];
        gpus.iter().all(|milli| *milli == 0) && beside == [0; 3]
    }

    /// Thousandths of each GPU, by index.
    pub(crate) fn gpus_milli(&self) -> &[u16] {
        &self.gpus
    }

    /// CPU in thousandths of a core, memory and disk in MiB.
    pub(crate) const fn beside_gpus(&self) -> (u64, u64, u64) {
        (self.cpu_milli, self.memory_mib, self.disk_mib)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(parts: &[(u64, &[usize], u64)]) -> Amounts {
        let part = |(gpu_milli, gpus, cpu_milli): &(u64, &[usize], u64)| {
            let shape = Shape {
                gpu_milli: *gpu_milli,
                cpu_milli: *cpu_milli,
                ..Shape::default()
            };
            (shape, gpus.iter().copied().collect::<GpuSet>())
        };
        Amounts::of(&parts.iter().map(part).collect::<Vec<_>>())
    }

    #[test]
    fn sums_tell_gpus_apart() {
        let sum = of(&[(2_000, &[0, 2], 500), (300, &[2], 0), (400, &[3], 100)]);
        assert_eq!(sum.gpus_milli(), [1_000, 0, 1_300, 400]);
        assert_eq!(sum.beside_gpus(), (600, 0, 0));
    }

    #[test]
    fn what_lies_on_top_takes_nothing_beyond_the_larger() {
        let (claims, spot) = (of(&[(2_000, &[0, 1], 500)]), of(&[(1_000, &[1], 800)]));
        assert_eq!(claims.beyond(&spot).gpus_milli(), [1_000, 0]);
        assert_eq!(claims.beyond(&spot).beside_gpus(), (0, 0, 0));
        assert!(claims.beyond(&claims).is_nothing());
        assert!(!claims.is_nothing() && Amounts::default().is_nothing());
        let vast = Shape {
            memory_mib: u64::MAX,
            disk_mib: u64::MAX,
            ..Shape::default()
        };
        assert!(!Amounts::of(&[(vast, GpuSet::default())]).is_nothing());
    }
}
