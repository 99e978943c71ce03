//! What demand costs by the hour.

use std::fmt::{self, Display, Formatter};
use std::iter::Sum;
use std::ops::Add;

use remuda_types::Price;

/// What demand costs by the hour, in nano-USD: a price by the GPU-hour in micro-USD times an amount
/// in thousandths of a GPU. Limits on prices and amounts keep sums far below what it can hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cost(u128);

impl Cost {
    /// What `gpu_milli` cost at a price by the GPU-hour.
    pub fn of(price: Price, gpu_milli: u64) -> Self {
        Self(u128::from(price.micros_per_hour()) * u128::from(gpu_milli))
    }

    /// A cost in nano-USD by the hour.
    pub const fn from_nanos(nanos: u128) -> Self {
        Self(nanos)
    }

    /// The cost in nano-USD by the hour.
    pub const fn nanos(self) -> u128 {
        self.0
    }
}

impl Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sum for Cost {
    fn sum<I: Iterator<Item = Self>>(costs: I) -> Self {
        costs.fold(Self::default(), Add::add)
    }
}

impl Display for Cost {
    /// In dollars, cents rounded down: `12.50 USD/h`.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let cents = self.0 / 10_000_000;
        write!(f, "{}.{:02} USD/h", cents / 100, cents % 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_is_a_price_times_an_amount() {
        let half_a_gpu = Cost::of(Price::from_micros_per_hour(2_500_000), 500);
        assert_eq!(half_a_gpu.nanos(), 1_250_000_000);
        assert_eq!((half_a_gpu + half_a_gpu).to_string(), "2.50 USD/h");
    }
}
