//! What a replica asks for and what a node has.

/// Resources one replica asks of one node.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    minicbor::Encode,
    minicbor::Decode,
    serde::Serialize,
    serde::Deserialize,
)]
#[cbor(map)]
#[serde(deny_unknown_fields, default)]
pub struct Shape {
    /// Thousandths of a GPU: 500 is half of one, 8,000 is eight whole ones. Above 1,000 only whole GPUs.
    #[n(0)]
    pub gpu_milli: u64,
    /// Thousandths of a CPU core.
    #[n(1)]
    pub cpu_milli: u64,
    /// Main memory in MiB.
    #[n(2)]
    pub memory_mib: u64,
    /// Memory that each GPU must have, in MiB.
    #[n(3)]
    pub gpu_memory_mib: u64,
    /// Disk in MiB.
    #[n(4)]
    pub disk_mib: u64,
}

/// What a node has in all.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    minicbor::Encode,
    minicbor::Decode,
    serde::Serialize,
    serde::Deserialize,
)]
#[cbor(map)]
#[serde(deny_unknown_fields)]
pub struct Capacity {
    /// Whole GPUs of the node's class.
    #[n(0)]
    pub gpus: u32,
    /// Memory of each GPU, in MiB.
    #[n(1)]
    pub gpu_memory_mib: u64,
    /// Thousandths of a CPU core.
    #[n(2)]
    pub cpu_milli: u64,
    /// Main memory in MiB.
    #[n(3)]
    pub memory_mib: u64,
    /// Disk in MiB.
    #[n(4)]
    pub disk_mib: u64,
}

/// CPU is told apart in steps of half a core.
const CPU_STEP_MILLI: u64 = 500;
/// Memory and disk are told apart in steps of which an amount has 16 to 31.
const STEP_BITS: u32 = 5;

impl Capacity {
    /// The same in coarse steps, never more: what a node of the network counts as having.
    ///
    /// Machines that were bought alike report memory and disk that differ a little, and no two the
    /// same; counted in steps they are alike again, and a report that differs by a little changes
    /// nothing. CPU loses less than half a core, memory and disk less than a sixteenth.
    #[must_use]
    pub const fn in_steps(self) -> Self {
        Self {
            cpu_milli: cpu_in_steps(self.cpu_milli),
            memory_mib: in_steps(self.memory_mib),
            disk_mib: in_steps(self.disk_mib),
            ..self
        }
    }
}

/// Less than a step stays as it is: a node with a little CPU is not one with none.
const fn cpu_in_steps(cpu_milli: u64) -> u64 {
    if cpu_milli < CPU_STEP_MILLI {
        return cpu_milli;
    }
    cpu_milli - cpu_milli % CPU_STEP_MILLI
}

/// Keeps the highest bits.
const fn in_steps(amount: u64) -> u64 {
    let bits = u64::BITS - amount.leading_zeros();
    let dropped = bits.saturating_sub(STEP_BITS);
    amount >> dropped << dropped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Amounts of every size.
    fn amounts() -> impl Strategy<Value = u64> {
        (any::<u64>(), 0_u32..64).prop_map(|(amount, shift)| amount >> shift)
    }

    fn of(cpu_milli: u64, memory_mib: u64, disk_mib: u64) -> Capacity {
        Capacity {
            gpus: 8,
            gpu_memory_mib: 81_559,
            cpu_milli,
            memory_mib,
            disk_mib,
        }
    }

    #[test]
    fn machines_bought_alike_count_as_alike() {
        let one = of(128_000, 1_031_702, 3_600_123).in_steps();
        assert_eq!(one, of(128_000, 1_015_808, 3_538_944));
        assert_eq!(of(128_400, 1_031_688, 3_611_999).in_steps(), one);
        assert_eq!(of(1, 1, 0).in_steps(), of(1, 1, 0));
    }

    proptest! {
        #[test]
        fn steps_take_little_and_never_add(cpu in amounts(), memory in amounts(), disk in amounts()) {
            let all = of(cpu, memory, disk);
            let coarse = all.in_steps();
            prop_assert_eq!((coarse.gpus, coarse.gpu_memory_mib), (all.gpus, all.gpu_memory_mib));
            prop_assert!(coarse.cpu_milli <= cpu && cpu - coarse.cpu_milli < CPU_STEP_MILLI);
            prop_assert_eq!(coarse.cpu_milli == 0, cpu == 0);
            for (coarse, whole) in [(coarse.memory_mib, memory), (coarse.disk_mib, disk)] {
                prop_assert!(coarse <= whole && whole - coarse <= whole / 16);
                prop_assert_eq!(coarse == 0, whole == 0);
            }
        }

        #[test]
        fn steps_keep_the_order_and_are_kept(one in amounts(), other in amounts(), disk in amounts()) {
            let (less, more) = (one.min(other), one.max(other));
            let (less, more) = (of(less, less, disk).in_steps(), of(more, more, disk).in_steps());
            prop_assert!(less.cpu_milli <= more.cpu_milli && less.memory_mib <= more.memory_mib);
            prop_assert_eq!(less.in_steps(), less);
            prop_assert_eq!(more.in_steps(), more);
        }
    }
}
