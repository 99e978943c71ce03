//! Control's clock as a node or gateway knows it: what leases, grants and tranches are dated by.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use nix::time::{ClockId, clock_gettime};
use remuda_types::{Span, Time};

/// Control's time when it was last heard, carried on by [`boot_time`], so that a system clock that is
/// set meanwhile moves no deadline. Until control was heard, the system's clock is believed.
#[derive(Debug)]
pub struct Clock {
    heard: Mutex<(Time, Duration)>,
}

impl Clock {
    /// A clock that has not heard control.
    pub fn of_system() -> Self {
        Self {
            heard: Mutex::new((system_now(), boot_time())),
        }
    }

    /// Now, by control's clock.
    pub fn now(&self) -> Time {
        let (time, at) = *self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        time + span(boot_time().saturating_sub(at))
    }

    /// Control says that it is `time` now.
    pub fn hear(&self, time: Time) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = (time, boot_time());
    }

    /// Control says that this clock is wrong: the system's is believed again until control is heard.
    pub fn doubt(&self) {
        self.hear(system_now());
    }
}

/// Time since the machine was started, that which it slept included: the kernel's other monotonic
/// clock stands still then, and a machine that was asleep would be late by as much for ever.
///
/// # Panics
/// On a kernel older than Linux 2.6.39, which has no such clock.
#[expect(
    clippy::expect_used,
    reason = "every kernel that runs containers has this clock"
)]
pub fn boot_time() -> Duration {
    clock_gettime(ClockId::CLOCK_BOOTTIME)
        .expect("the kernel has a clock that counts sleep")
        .into()
}

/// Whole milliseconds of a duration.
pub fn span(duration: Duration) -> Span {
    Span::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

fn system_now() -> Time {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Time::EPOCH + span(since.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_is_believed_forward_and_backward() {
        let clock = Clock::of_system();
        for heard in [
            Time::from_millis(5_000),
            Time::from_millis(9_000_000_000_000),
        ] {
            clock.hear(heard);
            assert!(clock.now() >= heard);
            assert!(clock.now().since(heard) < Span::HOUR);
        }
    }

    #[test]
    fn a_doubted_clock_is_the_systems_again() {
        let clock = Clock::of_system();
        clock.hear(Time::from_millis(5_000));
        clock.doubt();
        assert!(clock.now() >= system_now() - Span::HOUR);
    }
}
