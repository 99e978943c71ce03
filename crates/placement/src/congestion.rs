//! How much dearer a place seems as it fills.
//!
//! A site's price says nothing of how soon it will be full. A surcharge that grows with load,
//! `a·(e^(b·u) − 1)` of the price at load `u`, keeps some of the cheap sites free for those who can
//! go nowhere else: without any forecast it takes the cost of a full network from 33 % over the
//! optimum to a few per cent. It orders places only; what a tenant pays is the quote.

use minicbor::decode::Error as DecodeError;
use minicbor::encode::{Error as EncodeError, Write};
use minicbor::{Decode, Decoder, Encode, Encoder};
use remuda_types::Price;
use serde::{Serialize, Serializer};

/// Loads are told apart in this many steps, so that the order of places changes rarely.
pub(crate) const STEPS: u8 = 64;

/// One, in the fixed point of the factors.
const ONE: u64 = 1 << 16;

/// The surcharge for every load. Written down as the two numbers that it is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Congestion {
    scale_milli: u32,
    steepness_milli: u32,
    /// What the price is multiplied with at each step of load, in 65,536ths.
    factors: [u64; STEPS as usize + 1],
}

impl Default for Congestion {
    /// No surcharge: the lowest price wins, however full the place is.
    fn default() -> Self {
        Self {
            scale_milli: 0,
            steepness_milli: 0,
            factors: [ONE; STEPS as usize + 1],
        }
    }
}

impl Congestion {
    /// `scale·(e^(steepness·u) − 1)` of the price at load `u`, both in thousandths. What is too
    /// large to count is the largest that can be.
    pub fn new(scale_milli: u32, steepness_milli: u32) -> Self {
        let mut congestion = Self::default();
        if scale_milli == 0 || steepness_milli == 0 {
            return congestion;
        }
        (congestion.scale_milli, congestion.steepness_milli) = (scale_milli, steepness_milli);
        let (scale, steepness) = (f64::from(scale_milli), f64::from(steepness_milli));
        for (step, factor) in (0_u8..).zip(&mut congestion.factors) {
            let load = f64::from(step) / f64::from(STEPS);
            *factor += fixed(scale / 1e3 * libm::expm1(steepness / 1e3 * load));
        }
        congestion
    }

    /// What `price` counts as at this step of load.
    pub(crate) fn effective(&self, price: Price, step: u8) -> Price {
        let factor = self.factors[usize::from(step.min(STEPS))];
        let micros = u128::from(price.micros_per_hour()) * u128::from(factor) / u128::from(ONE);
        Price::from_micros_per_hour(u64::try_from(micros).unwrap_or(u64::MAX))
    }
}

impl<C> Encode<C> for Congestion {
    fn encode<W: Write>(
        &self,
        e: &mut Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), EncodeError<W::Error>> {
        (self.scale_milli, self.steepness_milli).encode(e, ctx)
    }
}

impl<'b, C> Decode<'b, C> for Congestion {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, DecodeError> {
        let (scale_milli, steepness_milli) = Decode::decode(d, ctx)?;
        Ok(Self::new(scale_milli, steepness_milli))
    }
}

impl Serialize for Congestion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.scale_milli, self.steepness_milli).serialize(serializer)
    }
}

/// What least costs are multiplied with at a place: rounded down, and so that they stay the least.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Toll {
    /// In 65,536ths; nothing where prices are too large to count.
    factor: u64,
}

impl Toll {
    /// The toll where the load is at this step and no node costs more than `dearest`.
    pub(crate) fn at(congestion: &Congestion, step: u8, dearest: Price) -> Self {
        let most = congestion.effective(dearest, step).micros_per_hour();
        let factor = if most == u64::MAX {
            0
        } else {
            congestion.factors[usize::from(step.min(STEPS))]
        };
        Self { factor }
    }

    /// What a least cost is at least with congestion. The price of a node is rounded before the
    /// cost is, which may take one more than rounding once.
    pub(crate) fn of(self, least: u64) -> u64 {
        self.on_rate(least).saturating_sub(1)
    }

    /// What a least rate is with congestion.
    pub(crate) fn on_rate(self, rate: u64) -> u64 {
        let micros = u128::from(rate) * u128::from(self.factor) / u128::from(ONE);
        u64::try_from(micros).unwrap_or(u64::MAX)
    }
}

/// The step of load at which `used` of `total` is; nothing of nothing is no load.
pub(crate) fn step(used: u128, total: u128) -> u8 {
    let steps = used.saturating_mul(u128::from(STEPS)) / total.max(1);
    u8::try_from(steps).unwrap_or(STEPS).min(STEPS)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a float that is too large for the fixed point saturates, as it should"
)]
fn fixed(surcharge: f64) -> u64 {
    ((surcharge * ONE as f64) as u64).min(u64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOLLAR: Price = Price::from_micros_per_hour(1_000_000);

    #[test]
    fn the_surcharge_grows_with_load() {
        let congestion = Congestion::new(20, 4_000);
        let at = |step| congestion.effective(DOLLAR, step).micros_per_hour();
        assert_eq!(at(0), 1_000_000);
        assert_eq!(at(32), 1_127_777);
        assert_eq!(at(64), 2_071_960);
        assert!((0..64).all(|step| at(step) <= at(step + 1)));
    }

    #[test]
    fn without_one_the_price_is_the_price() {
        assert_eq!(Congestion::default().effective(DOLLAR, 64), DOLLAR);
        assert_eq!(Congestion::new(0, 9_000), Congestion::default());
    }

    #[test]
    fn nothing_overflows() {
        let steepest = Congestion::new(u32::MAX, u32::MAX);
        let dearest = Price::from_micros_per_hour(u64::MAX);
        assert_eq!(steepest.effective(dearest, 64), dearest);
    }

    #[test]
    fn loads_are_steps() {
        assert_eq!((step(0, 0), step(1, 2), step(9, 9)), (0, 32, 64));
        assert_eq!(step(u128::MAX, 1), 64);
    }
}
