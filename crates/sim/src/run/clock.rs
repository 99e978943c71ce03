//! Clocks that are off, run fast or slow, and are set.

use remuda_types::Time;

const MILLION: i128 = 1_000_000;

/// A clock, beside the true time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Clock {
    /// How far it was ahead of the true time when it was set, in milliseconds; below zero it was
    /// behind.
    ahead_ms: i64,
    /// When it was set.
    set: Time,
    /// How much faster than the true time it runs, in millionths.
    drift_ppm: i64,
    /// It shows nothing earlier.
    floor: Time,
}

impl Clock {
    /// A clock that is right.
    pub(crate) const fn new(now: Time) -> Self {
        Self {
            ahead_ms: 0,
            set: now,
            drift_ppm: 0,
            floor: Time::EPOCH,
        }
    }

    /// From now on it runs so much faster than the true time, in millionths.
    pub(crate) const fn drift(&mut self, ppm: i64) {
        self.drift_ppm = ppm;
    }

    /// Sets it, back or forward.
    pub(crate) const fn set(&mut self, now: Time, ahead_ms: i64) {
        (self.set, self.ahead_ms) = (now, ahead_ms);
    }

    /// Sets it, but for whom it shows nothing earlier than `floor`: they wait until it is reached.
    pub(crate) const fn set_from(&mut self, now: Time, ahead_ms: i64, floor: Time) {
        self.set(now, ahead_ms);
        self.floor = floor;
    }

    /// What it shows.
    pub(crate) fn at(&self, now: Time) -> Time {
        let run = i128::from(now.as_millis()) - i128::from(self.set.as_millis());
        let drifted = (run * i128::from(self.drift_ppm)).div_euclid(MILLION);
        let shown = i128::from(now.as_millis()) + i128::from(self.ahead_ms) + drifted;
        whole(shown).max(self.floor)
    }

    /// The first true time at which it shows `at` or later; long ago where it never showed anything
    /// earlier.
    pub(crate) fn when(&self, at: Time) -> Time {
        if at <= self.floor {
            return Time::EPOCH;
        }
        if at == Time::FOREVER {
            return at;
        }
        let set = i128::from(self.set.as_millis());
        let shown = i128::from(at.as_millis()) - set - i128::from(self.ahead_ms);
        let run = (shown * MILLION).div_euclid(MILLION + i128::from(self.drift_ppm));
        let mut when = whole(set + run);
        while self.at(when) < at {
            when = Time::from_millis(when.as_millis() + 1);
        }
        when
    }
}

fn whole(ms: i128) -> Time {
    Time::from_millis(u64::try_from(ms.max(0)).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOON: u64 = 20_000 * 86_400_000;

    const fn at(ms: u64) -> Time {
        Time::from_millis(NOON + ms)
    }

    #[test]
    fn a_fast_clock_gains_until_it_is_set_right() {
        let mut clock = Clock::new(at(0));
        clock.drift(200);
        assert_eq!(clock.at(at(3_600_000)), at(3_600_720));
        assert_eq!(clock.when(at(3_600_720)), at(3_600_000));
        clock.set(at(3_600_000), -5);
        assert_eq!(clock.at(at(3_600_000)), at(3_599_995));
        assert_eq!(clock.at(at(3_610_000)), at(3_609_997));
    }

    #[test]
    fn who_follows_no_clock_back_waits_for_it() {
        let mut clock = Clock::new(at(0));
        clock.set_from(at(1_000), -300, clock.at(at(1_000)));
        let shown = [1_000, 1_299, 1_301].map(|ms| clock.at(at(ms)));
        assert_eq!(shown, [at(1_000), at(1_000), at(1_001)]);
        assert_eq!(clock.when(at(1_001)), at(1_301));
        assert!(clock.when(at(1_000)) <= at(1_000));
    }

    proptest! {
        #[test]
        fn when_is_the_first_moment_that_shows_it(
            (ahead, ppm) in (-10_000_i64..10_000, -500_i64..=500),
            ms in 0_u64..100_000_000,
        ) {
            let mut clock = Clock::new(at(0));
            clock.drift(ppm);
            clock.set(at(50), ahead);
            let when = clock.when(at(ms));
            prop_assert!(clock.at(when) >= at(ms));
            prop_assert!(clock.at(Time::from_millis(when.as_millis() - 1)) < at(ms));
        }
    }
}
