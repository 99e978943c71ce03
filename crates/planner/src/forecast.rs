//! What is still to come of a demand class, from what was forecast and what has shown.
//!
//! A forecast counts as much as so much demand seen would: at first it is believed, and as demand
//! shows it is believed less. This is the mean of a Gamma prior brought up to date by Poisson
//! arrivals: for a forecast that is wrong by a share `e`, its worth is `1/e²` requests.

/// One, in millionths.
const WHOLE_PPM: u64 = 1_000_000;

/// What a class is expected to ask for in the whole period, and how far that is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// How much, in thousandths of a GPU.
    pub gpu_milli: u64,
    /// It counts as much as so much demand that was seen, in thousandths of a GPU.
    pub worth_gpu_milli: u64,
}

/// How much of the period is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Elapsed(u64);

impl Elapsed {
    /// `passed` of `whole`; all of it where there is no whole or more than it has passed.
    pub fn of(passed: u64, whole: u64) -> Self {
        let ppm = u128::from(passed) * u128::from(WHOLE_PPM) / u128::from(whole.max(1));
        let over = whole == 0 || passed >= whole;
        Self(if over {
            WHOLE_PPM
        } else {
            u64::try_from(ppm).unwrap_or(WHOLE_PPM)
        })
    }
}

/// How much a class will still ask for until the period is over, when it has asked for
/// `seen_gpu_milli` so far.
pub fn remaining(forecast: Forecast, seen_gpu_milli: u64, elapsed: Elapsed) -> u64 {
    let [expected, worth, seen] =
        [forecast.gpu_milli, forecast.worth_gpu_milli, seen_gpu_milli].map(u128::from);
    let (whole, passed) = (u128::from(WHOLE_PPM), u128::from(elapsed.0));
    // The rate is (worth + seen) over (worth / expected + passed); without a forecast, what was seen
    // over the time it took.
    let (amount, time) = if expected == 0 || worth == 0 {
        (seen, passed)
    } else {
        let amount = expected.saturating_mul(worth + seen);
        (amount, worth * whole + expected * passed)
    };
    let left = amount.saturating_mul(whole - passed) / time.max(1);
    u64::try_from(left).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FORECAST: Forecast = Forecast {
        gpu_milli: 1_000_000,
        worth_gpu_milli: 25_000,
    };

    #[test]
    fn a_forecast_gives_way_to_what_shows() {
        let at = |seen, percent| remaining(FORECAST, seen, Elapsed::of(percent, 100));
        assert_eq!(at(0, 0), 1_000_000);
        assert_eq!(at(500_000, 50), 500_000, "as was forecast");
        assert_eq!(at(600_000, 50), 595_238, "nearly what has shown");
        assert_eq!(at(600_000, 100), 0);
    }

    #[test]
    fn without_a_forecast_what_shows_is_all_there_is() {
        let none = Forecast {
            gpu_milli: 0,
            worth_gpu_milli: 0,
        };
        assert_eq!(remaining(none, 0, Elapsed::default()), 0);
        assert_eq!(remaining(none, 300, Elapsed::of(1, 4)), 900);
    }

    #[test]
    fn a_period_that_is_over_is_over() {
        assert_eq!(Elapsed::of(3, 2), Elapsed::of(1, 1));
        assert_eq!(Elapsed::of(0, 0), Elapsed::of(1, 1));
        assert_eq!(
            Elapsed::of(u64::MAX - 1, u64::MAX),
            Elapsed::of(999_999, 1_000_000)
        );
    }

    proptest! {
        #[test]
        fn more_seen_is_more_to_come(
            gpu_milli in 0_u64..1 << 42,
            worth_gpu_milli in 0_u64..1 << 42,
            seen in 0_u64..1 << 42,
            more in 0_u64..1 << 20,
            percent in 1_u64..100,
        ) {
            let forecast = Forecast { gpu_milli, worth_gpu_milli };
            let elapsed = Elapsed::of(percent, 100);
            prop_assert!(remaining(forecast, seen, elapsed) <= remaining(forecast, seen + more, elapsed));
            prop_assert_eq!(remaining(forecast, seen, Elapsed::of(1, 1)), 0);
        }
    }
}
