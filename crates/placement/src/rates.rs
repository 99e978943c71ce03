//! What the nodes of a pool cost at least, so that those that are too dear need no look.
//!
//! A quote is the price of the node times the largest of the shares that a shape takes; so it is
//! never less than what the shape takes of any one thing, times the least that this costs on any
//! node of the pool. Everything here is rounded down.

use remuda_types::{Price, Shape};

use crate::ask::WHOLE_GPU_MILLI;
use crate::pool::Offering;

/// Rates are in micro-USD an hour, shifted left by this.
const SHIFT: u32 = 20;

/// The least that a thousandth of a GPU, a thousandth of a core, and a MiB of memory and of disk
/// cost. What nobody has costs the most that can be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rates([u64; 4]);

impl Default for Rates {
    /// Of nothing.
    fn default() -> Self {
        Self([u64::MAX; 4])
    }
}

impl Rates {
    fn of(offering: &Offering) -> Self {
        let has = &offering.capacity;
        let gpus_milli = u64::from(has.gpus) * u64::from(WHOLE_GPU_MILLI);
        let price = u128::from(offering.price.micros_per_hour()) << SHIFT;
        let rate = |total: u64| {
            let rate = price.checked_div(u128::from(total));
            rate.and_then(|rate| u64::try_from(rate).ok())
        };
        let totals = [gpus_milli, has.cpu_milli, has.memory_mib, has.disk_mib];
        Self(totals.map(|total| rate(total).unwrap_or(u64::MAX)))
    }

    /// The lesser of each.
    fn least(self, other: Self) -> Self {
        let mut least = self;
        for (least, other) in least.0.iter_mut().zip(other.0) {
            *least = other.min(*least);
        }
        least
    }

    pub(crate) const fn per_gpu_milli(&self) -> u64 {
        self.0[0]
    }

    pub(crate) const fn per_cpu_milli(&self) -> u64 {
        self.0[1]
    }

    /// What the shape costs at least, congestion not counted.
    pub(crate) fn bound(&self, shape: &Shape) -> u64 {
        let [gpu, cpu, memory, disk] = self.0;
        bound(gpu, shape.gpu_milli)
            .max(bound(cpu, shape.cpu_milli))
            .max(bound(memory, shape.memory_mib))
            .max(bound(disk, shape.disk_mib))
    }
}

/// What the kinds of a pool offer at the utmost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Utmost {
    pub(crate) rates: Rates,
    /// The most that a whole node costs.
    pub(crate) dearest: Price,
    /// The most memory that its GPUs have.
    pub(crate) gpu_memory_mib: u64,
}

impl Utmost {
    pub(crate) fn of(offering: &Offering) -> Self {
        Self {
            rates: Rates::of(offering),
            dearest: offering.price,
            gpu_memory_mib: offering.capacity.gpu_memory_mib,
        }
    }

    /// Of both.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            rates: self.rates.least(other.rates),
            dearest: self.dearest.max(other.dearest),
            gpu_memory_mib: self.gpu_memory_mib.max(other.gpu_memory_mib),
        }
    }

    /// Whether something of it is that of the other, and so may change when that goes.
    pub(crate) fn touches(&self, other: &Self) -> bool {
        let rates = self.rates.0.iter().zip(&other.rates.0);
        self.dearest == other.dearest
            || self.gpu_memory_mib == other.gpu_memory_mib
            || rates.into_iter().any(|(one, other)| one == other)
    }
}

/// What so much costs at least at this rate.
pub(crate) fn bound(rate: u64, asked: u64) -> u64 {
    let least = (u128::from(rate) * u128::from(asked)) >> SHIFT;
    u64::try_from(least).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use remuda_types::Capacity;

    use super::*;
    use crate::congestion::{Congestion, STEPS, Toll};
    use crate::quote::quote_of;

    fn amounts() -> impl Strategy<Value = u64> {
        prop_oneof![0_u64..20, 1_000_u64..100_000_000, any::<u64>()]
    }

    fn offerings() -> impl Strategy<Value = Offering> {
        (0_u32..9, amounts(), amounts(), amounts(), amounts()).prop_map(
            |(gpus, cpu_milli, memory_mib, disk_mib, price)| Offering {
                capacity: Capacity {
                    gpus,
                    gpu_memory_mib: 0,
                    cpu_milli,
                    memory_mib,
                    disk_mib,
                },
                price: Price::from_micros_per_hour(price),
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn no_node_that_has_room_costs_less(
            offerings in proptest::collection::vec(offerings(), 1..4), which: prop::sample::Index,
            shares in [0_u64..1_001, 0_u64..1_001, 0_u64..1_001, 0_u64..1_001],
            scale in 0_u32..200_000, steep in 0_u32..20_000, step in 0..=STEPS,
        ) {
            let of = |total: u64, share: u64| {
                u64::try_from(u128::from(total) * u128::from(share) / 1_000).unwrap()
            };
            let Offering { capacity, price } = offerings[which.index(offerings.len())];
            let shape = Shape {
                gpu_milli: of(u64::from(capacity.gpus) * 1_000, shares[0]),
                cpu_milli: of(capacity.cpu_milli, shares[1]),
                memory_mib: of(capacity.memory_mib, shares[2]),
                disk_mib: of(capacity.disk_mib, shares[3]),
                gpu_memory_mib: 0,
            };
            let congestion = Congestion::new(scale, steep);
            let utmost = offerings.iter().map(Utmost::of).fold(Utmost::default(), Utmost::and);
            let (rates, toll) = (utmost.rates, Toll::at(&congestion, step, utmost.dearest));
            let cost = quote_of(congestion.effective(price, step), &capacity, &shape).micros_per_hour();
            prop_assert!(toll.of(rates.bound(&shape)) <= cost);
            prop_assert!(toll.of(bound(rates.per_gpu_milli(), shape.gpu_milli)) <= cost);
            let key = toll.on_rate(rates.per_gpu_milli());
            prop_assert!(bound(key, shape.gpu_milli).saturating_sub(1) <= cost);
        }
    }
}
