//! Control's clock as a node or gateway knows it: what leases, grants and tranches are dated by.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use remuda_types::{Span, Time};

/// Control's time when it was last heard, carried on by the machine's monotonic clock, so that a
/// system clock that is set meanwhile moves no deadline. Until control was heard, the system's clock
/// is believed.
#[derive(Debug)]
pub struct Clock {
    heard: Mutex<(Time, Instant)>,
}

impl Clock {
    /// A clock that has not heard control.
    pub fn of_system() -> Self {
        Self {
            heard: Mutex::new((system_now(), Instant::now())),
        }
    }

    /// Now, by control's clock.
    pub fn now(&self) -> Time {
        let (time, at) = *self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        time + span(at.elapsed())
    }

    /// Control says that it is `time` now.
    pub fn hear(&self, time: Time) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = (time, Instant::now());
    }
}

/// Whole milliseconds of a duration.
pub fn span(duration: Duration) -> Span {
    Span::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// Now, by the system's clock.
pub fn system_now() -> Time {
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
}
