//! What is free on a node, or asked of one, packed so that one subtraction compares all of it.

use crate::ask::{Ask, GpuAsk, WHOLE_GPU_MILLI};
use crate::free::Free;

/// Five amounts side by side in units of their own, the bit above each of them clear. Amounts are
/// rounded down, and one that is too large for its bits is the largest that fits: neither turns
/// enough into too little, so what is said of room errs on the side of room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Brief(u64);

/// How many bits an amount has, and how large its unit is: CPU in 16 thousandths of a core, memory
/// in 64 MiB, disk in 4 GiB, the largest part of a GPU in thousandths, and whole GPUs.
const FIELDS: [Field; 5] = [
    Field { bits: 15, unit: 16 },
    Field { bits: 15, unit: 64 },
    Field {
        bits: 12,
        unit: 4_096,
    },
    Field { bits: 10, unit: 1 },
    Field { bits: 7, unit: 1 },
];

#[derive(Clone, Copy)]
struct Field {
    bits: u32,
    unit: u64,
}

/// The bit above each amount.
const GUARDS: u64 = {
    let (mut guards, mut at, mut field) = (0, 0, 0);
    while field < FIELDS.len() {
        at += FIELDS[field].bits;
        guards |= 1 << at;
        at += 1;
        field += 1;
    }
    guards
};

impl Brief {
    /// What is free.
    pub(crate) fn of(free: &Free) -> Self {
        let part = free.gpus_milli().iter().copied().max().unwrap_or(0);
        let amounts = [
            free.cpu_milli(),
            free.memory_mib(),
            free.disk_mib(),
            part.into(),
            free.whole_gpus() as u64,
        ];
        Self::new(amounts)
    }

    /// What is asked.
    pub(crate) fn asked(ask: &Ask) -> Self {
        let shape = ask.shape();
        let (part, whole) = match ask.gpus() {
            GpuAsk::None => (0, 0),
            GpuAsk::Part(part) => (part, 0),
            GpuAsk::Whole(count) => (WHOLE_GPU_MILLI, count),
        };
        let amounts = [
            shape.cpu_milli,
            shape.memory_mib,
            shape.disk_mib,
            part.into(),
            whole,
        ];
        Self::new(amounts)
    }

    fn new(amounts: [u64; 5]) -> Self {
        let (mut brief, mut at) = (0, 0);
        for (amount, field) in amounts.into_iter().zip(FIELDS) {
            let most = (1 << field.bits) - 1;
            brief |= (amount / field.unit).min(most) << at;
            at += field.bits + 1;
        }
        Self(brief)
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
            (0_u32..34).prop_map(|bits| 1 << bits),
            (0_u64..99).prop_map(|n| n << 12)
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
            let is_exact = |amounts: [u64; 3]| {
                let mut fields = amounts.into_iter().zip(FIELDS);
                fields.all(|(amount, of)| amount % of.unit == 0 && amount / of.unit < 1 << of.bits)
            };
            prop_assert!(!is_exact(has) || !is_exact(asks) || may_have == free.has_room(&ask));
        }

        #[test]
        fn nothing_free_has_no_room(asked in amounts()) {
            let shape = Shape { disk_mib: asked.max(4_096), ..Shape::default() };
            prop_assert!(!Brief::default().may_have(Brief::asked(&Ask::new(shape).unwrap())));
        }
    }
}
