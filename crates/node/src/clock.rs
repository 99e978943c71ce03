//! Control's clock, as well as this node knows it.

use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use remuda_types::Time;

/// Control's time at one instant, carried on by the machine's monotonic clock, so that a system
/// clock that is set while the daemon runs moves no deadline. Until control was heard, the system's
/// clock is believed.
#[derive(Debug)]
pub(crate) struct Clock {
    heard: Mutex<(Time, Instant)>,
}

impl Clock {
    /// A clock that has not heard control.
    pub(crate) fn of_system() -> Self {
        Self {
            heard: Mutex::new((system_now(), Instant::now())),
        }
    }

    /// Now, by control's clock.
    pub(crate) fn now(&self) -> Time {
        let (time, at) = *self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX);
        time + remuda_types::Span::from_millis(passed)
    }

    /// Control says that it is `time` now.
    pub(crate) fn hear(&self, time: Time) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = (time, Instant::now());
    }
}

fn system_now() -> Time {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let millis = since.unwrap_or_default().as_millis();
    Time::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
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
            assert!(clock.now().since(heard) < remuda_types::Span::HOUR);
        }
    }
}
