//! Counts that fade: after each half-life they are half of what they were.
//!
//! In integers, and by absolute steps of a 256th of a half-life, so that a count that is
//! brought up to date often fades as one that seldom is.

use minicbor::{Decode, Encode};
use remuda_types::{Span, Time};

/// What one outage counts when it begins.
pub(super) const ONE: u64 = 1 << 16;

/// Steps in a half-life.
const STEPS: u64 = 256;
/// 2 to the power of -1/256, -2/256, -4/256 and so on to -128/256, times 2 to the power of 32.
const FACTORS: [u64; 8] = [
    4_283_353_945,
    4_271_771_996,
    4_248_701_965,
    4_202_935_003,
    4_112_874_773,
    3_938_502_376,
    3_611_622_603,
    3_037_000_500,
];
/// One over the natural logarithm of 2, in millionths.
const MEAN_LIFE_PPM: u128 = 1_442_695;

/// How often something happened, what is long past counted less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(super) struct Count {
    #[n(0)]
    weight: u64,
    /// When it happened last.
    #[n(1)]
    at: Time,
}

impl Count {
    /// When it happened last.
    pub(super) const fn at(&self) -> Time {
        self.at
    }

    /// What it has faded to, in parts of [`ONE`].
    pub(super) fn at_time(&self, at: Time, half_life: Span) -> u64 {
        faded(self.weight, (self.at, at), half_life)
    }

    /// It happened once more.
    pub(super) fn add_one(&mut self, at: Time, half_life: Span) {
        self.weight = self.at_time(at, half_life).saturating_add(ONE);
        self.at = at;
    }
}

/// What a weight fades to between two times.
fn faded(weight: u64, (from, to): (Time, Time), half_life: Span) -> u64 {
    let step = (half_life.as_millis() / STEPS).max(1);
    let steps = (to.as_millis() / step).saturating_sub(from.as_millis() / step);
    let halvings = u32::try_from(steps / STEPS).unwrap_or(u32::MAX);
    let whole = weight.checked_shr(halvings).unwrap_or(0);
    let rest = steps % STEPS;
    let factors = (0_u32..).zip(FACTORS);
    let due = factors.filter(|(bit, _)| rest >> bit & 1 == 1);
    due.fold(whole, |weight, (_, factor)| times(weight, factor))
}

fn times(weight: u64, factor: u64) -> u64 {
    let product = (u128::from(weight) * u128::from(factor)) >> 32;
    u64::try_from(product).unwrap_or(u64::MAX)
}

/// How long the time between two instants is when what lies before the second counts less, as
/// counts do: at most a half-life and not quite its half again.
pub(super) fn exposure(from: Time, to: Time, half_life: Span) -> Span {
    const WHOLE: u64 = 1 << 32;
    let gone = WHOLE - faded(WHOLE, (from, to), half_life);
    let most = u128::from(half_life.as_millis()) * MEAN_LIFE_PPM / 1_000_000;
    let millis = (most * u128::from(gone)) >> 32;
    Span::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const YEAR: Span = Span::from_secs(365 * 86_400);

    fn after(days: u64) -> Time {
        Time::EPOCH + Span::from_secs(days * 86_400)
    }

    #[test]
    fn half_is_left_after_a_half_life_and_little_after_ten() {
        let left = |days| faded(ONE, (after(0), after(days)), YEAR);
        assert_eq!(left(0), ONE);
        assert_eq!(left(365), ONE / 2);
        assert_eq!(left(3_650), ONE / 1_024);
        assert_eq!(left(365 * 70), 0);
        let (half, root) = (left(183), ONE * 1_000 / 1_414);
        assert!(half.abs_diff(root) < ONE / 20, "{half} {root}");
    }

    #[test]
    fn exposure_grows_with_time_and_is_bounded() {
        let days = |days| exposure(after(0), after(days), YEAR).as_millis() / 86_400_000;
        assert_eq!(days(0), 0);
        assert!((80..=100).contains(&days(100)), "{}", days(100));
        assert!((520..=527).contains(&days(36_500)), "{}", days(36_500));
    }

    proptest! {
        #[test]
        fn what_is_looked_at_often_fades_alike(
            weight in 0_u64..1 << 40, mut stops in proptest::collection::vec(0_u64..4_000, 1..20),
        ) {
            stops.sort_unstable();
            let (mut slow, mut now) = (weight, after(0));
            for stop in &stops {
                slow = faded(slow, (now, after(*stop)), YEAR);
                now = after(*stop);
            }
            let fast = faded(weight, (after(0), now), YEAR);
            // Each look rounds down, by a part for each factor at most, and factors are rounded.
            let looks = stops.len() as u64;
            prop_assert!(slow.abs_diff(fast) <= looks * (10 + (weight >> 30)), "{slow} {fast}");
        }
    }
}
