//! What is free on a node, and which of its GPUs something is on.

use remuda_types::{Capacity, Shape};
use smallvec::SmallVec;

use crate::amounts::Amounts;
use crate::ask::{Ask, GpuAsk, WHOLE_GPU_MILLI};

/// Some of a node's GPUs, by index from 0. A lease records the set it was given: with parts of
/// GPUs, "how much" does not say "where", and a fleet rebuilt from leases must know where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GpuSet(u64);

/// What is free on a node now.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Free {
    gpus: SmallVec<[u16; 8]>,
    cpu_milli: u64,
    memory_mib: u64,
    disk_mib: u64,
}

/// How much is free in all, GPUs first: of two nodes that take one shape, the lesser is fuller,
/// before and after.
pub(crate) type Slack = (u64, u64, u64, u64);

impl GpuSet {
    /// How many GPUs one node may have: the width of the set.
    pub const MAX_GPUS: u32 = u64::BITS;

    /// The set from one bit a GPU, GPU 0 lowest.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// One bit a GPU, GPU 0 lowest.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The number of GPUs in the set.
    pub const fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// Whether the set has no GPU, as that of a replica without one.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The GPUs' indices, ascending.
    pub fn indices(self) -> impl Iterator<Item = usize> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let lowest = left.trailing_zeros();
            left &= left.wrapping_sub(1);
            usize::try_from(lowest).ok().filter(|&index| index < 64)
        })
    }
}

impl FromIterator<usize> for GpuSet {
    /// Indices that no node can have (64 and more) are left out.
    fn from_iter<I: IntoIterator<Item = usize>>(indices: I) -> Self {
        let bit = |index| {
            u32::try_from(index)
                .ok()
                .and_then(|index| 1_u64.checked_shl(index))
        };
        Self(
            indices
                .into_iter()
                .filter_map(bit)
                .fold(0, |bits, bit| bits | bit),
        )
    }
}

impl Free {
    /// All of a node. `None` when it has more GPUs than a set can name.
    pub(crate) fn all(capacity: &Capacity) -> Option<Self> {
        (capacity.gpus <= GpuSet::MAX_GPUS).then(|| Self {
            gpus: (0..capacity.gpus).map(|_| WHOLE_GPU_MILLI).collect(),
            cpu_milli: capacity.cpu_milli,
            memory_mib: capacity.memory_mib,
            disk_mib: capacity.disk_mib,
        })
    }

    /// Thousandths free of each GPU, by index.
    pub fn gpus_milli(&self) -> &[u16] {
        &self.gpus
    }

    /// Thousandths of CPU cores.
    pub fn cpu_milli(&self) -> u64 {
        self.cpu_milli
    }

    /// Main memory in MiB.
    pub fn memory_mib(&self) -> u64 {
        self.memory_mib
    }

    /// Disk in MiB.
    pub fn disk_mib(&self) -> u64 {
        self.disk_mib
    }

    pub(crate) fn slack(&self) -> Slack {
        let gpus = self.gpu_milli();
        (gpus, self.cpu_milli, self.memory_mib, self.disk_mib)
    }

    /// Thousandths free of all GPUs together.
    pub(crate) fn gpu_milli(&self) -> u64 {
        self.gpus.iter().copied().map(u64::from).sum()
    }

    /// Whether there is more of anything than there was.
    pub(crate) fn has_more_than(&self, before: &Self) -> bool {
        let gpus = self.gpus.iter().zip(&before.gpus);
        self.cpu_milli > before.cpu_milli
            || self.memory_mib > before.memory_mib
            || self.disk_mib > before.disk_mib
            || gpus.into_iter().any(|(now, then)| now > then)
    }

    /// How many GPUs are wholly free.
    pub(crate) fn whole_gpus(&self) -> usize {
        self.wholly_free().count()
    }

    /// The same without telling the GPUs apart: nodes that are free alike are alike to every
    /// request.
    pub(crate) fn sorted(&self) -> Self {
        self.clone().into_sorted()
    }

    /// [`Free::sorted`] in place.
    pub(crate) fn into_sorted(mut self) -> Self {
        self.gpus.sort_unstable();
        self
    }

    /// Whether a replica that asks this has room.
    pub(crate) fn has_room(&self, ask: &Ask) -> bool {
        let shape = ask.shape();
        shape.cpu_milli <= self.cpu_milli
            && shape.memory_mib <= self.memory_mib
            && shape.disk_mib <= self.disk_mib
            && self.has_gpus(ask.gpus())
    }

    /// Whether the GPUs asked are free.
    pub(crate) fn has_gpus(&self, ask: GpuAsk) -> bool {
        match ask {
            GpuAsk::None => true,
            GpuAsk::Part(part) => self.gpus.iter().any(|&milli| milli >= part),
            GpuAsk::Whole(count) => u64::try_from(self.whole_gpus()).is_ok_and(|n| n >= count),
        }
    }

    /// How many replicas that ask this have room together.
    pub(crate) fn room_for(&self, ask: &Ask) -> u64 {
        self.rooms(ask).into_iter().fold(u64::MAX, u64::min)
    }

    /// For how many replicas that ask this the GPUs are enough, the CPU, the memory and the disk.
    pub(crate) fn rooms(&self, ask: &Ask) -> [u64; 4] {
        let shape = ask.shape();
        let fits = |asked: u64, free: u64| free.checked_div(asked).unwrap_or(u64::MAX);
        let gpus = match ask.gpus() {
            GpuAsk::None => u64::MAX,
            GpuAsk::Part(part) => {
                let parts = self.gpus.iter().map(|&milli| u64::from(milli / part));
                parts.sum()
            }
            GpuAsk::Whole(count) => u64::try_from(self.whole_gpus()).unwrap_or(0) / count,
        };
        [
            gpus,
            fits(shape.cpu_milli, self.cpu_milli),
            fits(shape.memory_mib, self.memory_mib),
            fits(shape.disk_mib, self.disk_mib),
        ]
    }

    fn wholly_free(&self) -> impl Iterator<Item = usize> {
        let indexed = self.gpus.iter().enumerate();
        indexed.filter_map(|(index, &milli)| (milli == WHOLE_GPU_MILLI).then_some(index))
    }

    /// The GPUs that `ask` would get: for a part, the fullest GPU that has it; for whole ones, the
    /// first free. Ties go to the lowest index.
    pub(crate) fn choose(&self, ask: GpuAsk) -> Option<GpuSet> {
        match ask {
            GpuAsk::None => Some(GpuSet::default()),
            GpuAsk::Part(part) => {
                let indexed = self.gpus.iter().enumerate();
                let fullest = indexed
                    .filter(|&(_, &milli)| milli >= part)
                    .min_by_key(|&(_, milli)| milli);
                fullest.map(|(index, _)| std::iter::once(index).collect())
            }
            GpuAsk::Whole(count) => {
                let count = usize::try_from(count).ok()?;
                let chosen: GpuSet = self.wholly_free().take(count).collect();
                (usize::try_from(chosen.len()) == Ok(count)).then_some(chosen)
            }
        }
    }

    /// The most GPUs a replica could get, in thousandths, when `asked` is too much: whole ones if
    /// whole ones were asked and one is free, else the largest part of one.
    pub(crate) fn most_gpu_milli(&self, asked: GpuAsk) -> u64 {
        let whole = u64::from(WHOLE_GPU_MILLI) * u64::try_from(self.whole_gpus()).unwrap_or(0);
        match asked {
            GpuAsk::Whole(_) if whole > 0 => whole,
            GpuAsk::None | GpuAsk::Part(_) | GpuAsk::Whole(_) => {
                self.gpus.iter().copied().max().map_or(0, u64::from)
            }
        }
    }

    /// What is left after `ask` takes its share on `gpus`; `None` when something is short.
    pub(crate) fn minus(&self, ask: &Ask, gpus: GpuSet) -> Option<Self> {
        let Shape {
            cpu_milli,
            memory_mib,
            disk_mib,
            ..
        } = *ask.shape();
        let mut left = Self {
            gpus: self.gpus.clone(),
            cpu_milli: self.cpu_milli.checked_sub(cpu_milli)?,
            memory_mib: self.memory_mib.checked_sub(memory_mib)?,
            disk_mib: self.disk_mib.checked_sub(disk_mib)?,
        };
        for index in gpus.indices() {
            let gpu = left.gpus.get_mut(index)?;
            *gpu = gpu.checked_sub(ask.gpus().milli_each())?;
        }
        Some(left)
    }

    /// What is left when these amounts are set aside; `None` when something is short.
    pub(crate) fn without(&self, aside: &Amounts) -> Option<Self> {
        let (cpu_milli, memory_mib, disk_mib) = aside.beside_gpus();
        let mut left = Self {
            gpus: self.gpus.clone(),
            cpu_milli: self.cpu_milli.checked_sub(cpu_milli)?,
            memory_mib: self.memory_mib.checked_sub(memory_mib)?,
            disk_mib: self.disk_mib.checked_sub(disk_mib)?,
        };
        for (index, milli) in aside.gpus_milli().iter().enumerate() {
            if *milli > 0 {
                let gpu = left.gpus.get_mut(index)?;
                *gpu = gpu.checked_sub(*milli)?;
            }
        }
        Some(left)
    }

    /// Gives back what [`Free::minus`] took.
    pub(crate) fn put_back(&mut self, ask: &Ask, gpus: GpuSet) {
        let Shape {
            cpu_milli,
            memory_mib,
            disk_mib,
            ..
        } = *ask.shape();
        self.cpu_milli += cpu_milli;
        self.memory_mib += memory_mib;
        self.disk_mib += disk_mib;
        for index in gpus.indices() {
            self.gpus[index] += ask.gpus().milli_each();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn free(gpus: &[u16]) -> Free {
        Free {
            gpus: gpus.into(),
            cpu_milli: 0,
            memory_mib: 0,
            disk_mib: 0,
        }
    }

    fn chosen(gpus: &[u16], ask: GpuAsk) -> Option<Vec<usize>> {
        free(gpus).choose(ask).map(|set| set.indices().collect())
    }

    #[test]
    fn parts_go_to_the_fullest_gpu_that_has_them() {
        assert_eq!(
            chosen(&[1_000, 600, 300, 600], GpuAsk::Part(400)),
            Some(vec![1])
        );
        assert_eq!(chosen(&[1_000, 1_000], GpuAsk::Part(999)), Some(vec![0]));
        assert_eq!(chosen(&[300, 300], GpuAsk::Part(400)), None);
    }

    #[test]
    fn whole_gpus_are_wholly_free() {
        assert_eq!(
            chosen(&[999, 1_000, 1_000, 1_000], GpuAsk::Whole(2)),
            Some(vec![1, 2])
        );
        assert_eq!(chosen(&[999, 1_000], GpuAsk::Whole(2)), None);
        assert_eq!(chosen(&[1_000], GpuAsk::Whole(u64::MAX)), None);
        assert_eq!(chosen(&[], GpuAsk::None), Some(vec![]));
    }

    #[test]
    fn sets_of_gpus_hold_64() {
        let all: GpuSet = (0..70).collect();
        assert_eq!((all.len(), all.bits()), (64, u64::MAX));
        assert_eq!(all.indices().last(), Some(63));
    }

    #[test]
    fn a_node_with_more_gpus_than_a_set_has_no_free_state() {
        assert!(
            Free::all(&Capacity {
                gpus: 65,
                ..Capacity::default()
            })
            .is_none()
        );
        assert!(
            Free::all(&Capacity {
                gpus: u32::MAX,
                ..Capacity::default()
            })
            .is_none()
        );
    }
}
