//! What is free on a node, or asked of one, packed so that one subtraction compares all of it.

use crate::ask::{Ask, GpuAsk, WHOLE_GPU_MILLI};
use crate::free::Free;

/// Five amounts side by side, the bit above each of them clear: CPU, memory and disk in 31 bits,
/// the largest part of a GPU and the number of whole ones in 15. An amount that is too large for
/// its bits is the largest that fits, so what is said of room errs on the side of room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Brief(u128);

/// The bit above each amount.
const GUARDS: u128 = packed([1 << 31, 1 << 31, 1 << 31, 1 << 15, 1 << 15]);

const fn packed([cpu, memory, disk, part, whole]: [u128; 5]) -> u128 {
    cpu | memory << 32 | disk << 64 | part << 96 | whole << 112
}

impl Brief {
    /// What is free.
    pub(crate) fn of(free: &Free) -> Self {
        let part = free.gpus_milli().iter().copied().max().unwrap_or(0);
        let beside = [free.cpu_milli(), free.memory_mib(), free.disk_mib()];
        Self::new(beside, part.into(), free.whole_gpus() as u64)
    }

    /// What is asked.
    pub(crate) fn asked(ask: &Ask) -> Self {
        let shape = ask.shape();
        let (part, whole) = match ask.gpus() {
            GpuAsk::None => (0, 0),
            GpuAsk::Part(part) => (part, 0),
            GpuAsk::Whole(count) => (WHOLE_GPU_MILLI, count),
        };
        let beside = [shape.cpu_milli, shape.memory_mib, shape.disk_mib];
        Self::new(beside, part.into(), whole)
    }

    fn new(beside: [u64; 3], part: u64, whole: u64) -> Self {
        let [cpu, memory, disk] = beside.map(|amount| u128::from(amount.min((1 << 31) - 1)));
        let [part, whole] = [part, whole].map(|amount| u128::from(amount.min((1 << 15) - 1)));
        Self(packed([cpu, memory, disk, part, whole]))
    }

    /// Whether this much free may have room for what is asked; if not, it has none.
    pub(crate) const fn may_have(self, asked: Self) -> bool {
        // Each difference borrows its own guard where too little is free.
        (self.0 | GUARDS).wrapping_sub(asked.0) & GUARDS == GUARDS
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use remuda_types::{Capacity, Shape};

    use super::*;

    fn amounts() -> impl Strategy<Value = u64> {
        prop_oneof![
            0_u64..8,
            any::<u64>(),
            (0_u32..34).prop_map(|bits| 1 << bits)
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn it_says_what_a_look_at_all_amounts_says(
            gpus in 0_u32..5, has in [amounts(), amounts(), amounts()],
            gpu_milli in prop_oneof![0_u64..1_000, (1_u64..6).prop_map(|gpus| gpus * 1_000), Just(u64::MAX / 1_000 * 1_000)],
            asks in [amounts(), amounts(), amounts()],
        ) {
            let capacity = Capacity {
                gpus, cpu_milli: has[0], memory_mib: has[1], disk_mib: has[2], gpu_memory_mib: 0,
            };
            let shape = Shape {
                gpu_milli, cpu_milli: asks[0], memory_mib: asks[1], disk_mib: asks[2], gpu_memory_mib: 0,
            };
            let (Some(free), Ok(ask)) = (Free::all(&capacity), Ask::new(shape)) else { return Ok(()) };
            let may_have = Brief::of(&free).may_have(Brief::asked(&ask));
            prop_assert!(may_have || !free.has_room(&ask));
            let is_small = has.iter().chain(&asks).all(|amount| *amount < 1 << 31);
            prop_assert!(!is_small || may_have == free.has_room(&ask));
        }

        #[test]
        fn nothing_free_has_no_room(asked in amounts()) {
            let shape = Shape { disk_mib: asked.max(1), ..Shape::default() };
            prop_assert!(!Brief::default().may_have(Brief::asked(&Ask::new(shape).unwrap())));
        }
    }
}
