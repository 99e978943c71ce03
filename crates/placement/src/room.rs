//! The most that any node of a pool has free: says at once that none has room, never that one has.

use crate::ask::{GpuAsk, WHOLE_GPU_MILLI};
use crate::free::{Free, GpuSet};

/// Parts of a GPU are told apart in steps of this many thousandths.
const PART_STEP: u16 = 50;
const PARTS: usize = (WHOLE_GPU_MILLI / PART_STEP) as usize + 1;
const COUNTS: usize = GpuSet::MAX_GPUS as usize + 1;

/// The most that any node of a pool has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Most {
    /// GPUs that are wholly free.
    whole: u8,
    /// What is free of the freest GPU, in steps of [`PART_STEP`].
    part: u8,
}

impl Most {
    /// Whether a node might have room; if not, none has.
    pub(crate) fn may_have(self, ask: GpuAsk) -> bool {
        match ask {
            GpuAsk::None => true,
            GpuAsk::Part(part) => u16::from(self.part) >= part / PART_STEP,
            GpuAsk::Whole(count) => u64::from(self.whole) >= count,
        }
    }
}

/// How many states there are of each kind.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    /// By how many GPUs are wholly free.
    by_whole: Box<[u32; COUNTS]>,
    /// By how much of the freest GPU is.
    by_part: [u32; PARTS],
    /// The most of each.
    most_whole: usize,
    most_part: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            by_whole: Box::new([0; COUNTS]),
            by_part: [0; PARTS],
            most_whole: 0,
            most_part: 0,
        }
    }
}

impl Room {
    /// Counts a state in.
    pub(crate) fn add(&mut self, free: &Free) {
        let (whole, part) = kind(free);
        self.by_whole[whole] += 1;
        self.by_part[part] += 1;
        self.most_whole = self.most_whole.max(whole);
        self.most_part = self.most_part.max(part);
    }

    /// Counts a state out.
    pub(crate) fn remove(&mut self, free: &Free) {
        let (whole, part) = kind(free);
        self.by_whole[whole] -= 1;
        self.by_part[part] -= 1;
        self.most_whole = highest(&self.by_whole[..=self.most_whole]);
        self.most_part = highest(&self.by_part[..=self.most_part]);
    }

    /// The most that there is.
    pub(crate) fn most(&self) -> Most {
        Most {
            whole: u8::try_from(self.most_whole).unwrap_or(u8::MAX),
            part: u8::try_from(self.most_part).unwrap_or(u8::MAX),
        }
    }
}

fn kind(free: &Free) -> (usize, usize) {
    let freest = free.gpus_milli().iter().copied().max().unwrap_or(0);
    (free.whole_gpus(), usize::from(freest / PART_STEP))
}

fn highest(counts: &[u32]) -> usize {
    counts.iter().rposition(|&count| count > 0).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use remuda_types::Capacity;

    use super::*;

    #[test]
    fn it_knows_the_most_there_is() {
        let free = |gpus| {
            let capacity = Capacity {
                gpus,
                ..Capacity::default()
            };
            Free::all(&capacity).unwrap()
        };
        let (whole, part) = (GpuAsk::Whole, GpuAsk::Part);
        let mut room = Room::default();
        assert!(!room.most().may_have(whole(1)) && !room.most().may_have(part(50)));
        room.add(&free(2));
        room.add(&free(8));
        assert!(room.most().may_have(whole(8)) && room.most().may_have(part(999)));
        room.remove(&free(8));
        assert!(room.most().may_have(whole(2)) && !room.most().may_have(whole(3)));
        room.remove(&free(2));
        assert!(!room.most().may_have(whole(1)));
    }
}
