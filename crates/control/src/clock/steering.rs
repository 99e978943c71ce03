//! Control's time between two readings of the machine's clocks.
//!
//! The monotonic clock says how much time has passed, the wall clock what time it is; only the
//! first can be trusted. So time goes on by the monotonic clock and is drawn towards the wall clock
//! in steps that are small beside the time that has passed: one wrong reading moves it by next to
//! nothing, and it never goes back.

use std::time::Duration;

/// What is gained or lost on the wall clock is at most this part of the time that has passed.
const SLEW: u32 = 10;

/// A wall clock that has been steadily ahead for so long is believed: the machine slept, or its
/// clock was wrong before.
const BELIEVED_AFTER: Duration = Duration::from_mins(1);

/// A believed one is followed by at most this much in the time that has passed.
const BELIEVED_GAIN: u32 = 60;

/// From here on a difference is a jump, which the log is told of.
const JUMP: Duration = Duration::from_secs(1);

/// What the machine's clocks say at once: since any fixed moment, and since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) monotonic: Duration,
    pub(super) wall: Duration,
}

/// The wall clock has gone away from control's time, or is back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    Ahead(Duration),
    Behind(Duration),
    Agrees,
}

/// Control's time and what it was drawn from.
#[derive(Debug)]
pub(super) struct Steering {
    /// Since 1970.
    time: Duration,
    monotonic: Duration,
    /// How long the wall clock has been ahead by a jump.
    ahead_for: Duration,
    apart: bool,
}

impl Steering {
    /// Starts at the wall clock, or at `at_least` where the wall clock is behind that.
    pub(super) fn new(at_least: Duration, reading: Reading) -> Self {
        Self {
            time: at_least.max(reading.wall),
            monotonic: reading.monotonic,
            ahead_for: Duration::ZERO,
            apart: false,
        }
    }

    /// The time now, and what the log should know.
    pub(super) fn advance(&mut self, reading: Reading) -> (Duration, Option<Notice>) {
        // Readings may be taken in another order than they arrive.
        let passed = reading.monotonic.saturating_sub(self.monotonic);
        self.monotonic = self.monotonic.max(reading.monotonic);
        let steady = self.time + passed;
        let ahead = reading.wall.saturating_sub(steady);
        let behind = steady.saturating_sub(reading.wall);
        self.believe(ahead, passed);
        let gain = ahead.min(self.most_gained(passed));
        let loss = behind.min(passed / SLEW);
        self.time = (steady + gain).saturating_sub(loss);
        (self.time, self.notice(ahead, behind))
    }

    fn believe(&mut self, ahead: Duration, passed: Duration) {
        self.ahead_for = if ahead >= JUMP {
            self.ahead_for + passed
        } else {
            Duration::ZERO
        };
    }

    fn most_gained(&self, passed: Duration) -> Duration {
        if self.ahead_for >= BELIEVED_AFTER {
            passed * BELIEVED_GAIN
        } else {
            passed / SLEW
        }
    }

    fn notice(&mut self, ahead: Duration, behind: Duration) -> Option<Notice> {
        let apart = ahead.max(behind) >= JUMP;
        if apart == self.apart {
            return None;
        }
        self.apart = apart;
        Some(match apart {
            false => Notice::Agrees,
            true if ahead >= JUMP => Notice::Ahead(ahead),
            true => Notice::Behind(behind),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: u64 = 1_800_000_000;
    const YEAR: u64 = 31_536_000;

    fn reading(monotonic_s: u64, wall_s: u64) -> Reading {
        Reading {
            monotonic: Duration::from_secs(monotonic_s),
            wall: Duration::from_secs(wall_s),
        }
    }

    fn started() -> Steering {
        Steering::new(Duration::ZERO, reading(0, START))
    }

    #[test]
    fn one_wrong_reading_moves_time_by_next_to_nothing() {
        let mut steering = started();
        let (time, notice) = steering.advance(reading(5, START + YEAR));
        assert_eq!(time, Duration::from_millis(1_000 * START + 5_500));
        assert!(matches!(notice, Some(Notice::Ahead(_))));
        let (_, notice) = steering.advance(reading(6, START + 6));
        assert_eq!(notice, Some(Notice::Agrees));
        let (time, notice) = steering.advance(reading(20, START + 20));
        assert_eq!((time, notice), (Duration::from_secs(START + 20), None));
    }

    #[test]
    fn time_goes_on_from_the_journals_where_the_wall_clock_is_behind_it() {
        let journal = Duration::from_secs(START + YEAR);
        let mut steering = Steering::new(journal, reading(0, START));
        let (time, notice) = steering.advance(reading(100, START + 100));
        assert_eq!(
            time,
            journal + Duration::from_secs(90),
            "slower, not stopped"
        );
        assert!(matches!(notice, Some(Notice::Behind(_))));
    }

    #[test]
    fn after_a_sleep_of_hours_the_wall_clock_is_caught_up_with() {
        let (mut steering, slept) = (started(), 8 * 3_600);
        let at = |second: u64| reading(second, START + slept + second);
        let times: Vec<_> = (1..=700)
            .map(|second| steering.advance(at(second)).0)
            .collect();
        assert!(times[58] < Duration::from_secs(START + 70), "not at once");
        assert_eq!(times[699], Duration::from_secs(START + slept + 700));
    }

    proptest! {
        #[test]
        fn time_never_goes_back_nor_faster_than_its_steps(
            readings in proptest::collection::vec((0_u64..100, 0_u64..2 * START), 1..50),
        ) {
            let mut steering = started();
            let (mut before, mut monotonic) = (Duration::from_secs(START), 0);
            for (passed, wall) in readings {
                monotonic += passed;
                let (time, _) = steering.advance(reading(monotonic, wall));
                prop_assert!(time >= before);
                prop_assert!(time.saturating_sub(before) <= Duration::from_secs(passed) * (BELIEVED_GAIN + 1));
                before = time;
            }
        }
    }
}
