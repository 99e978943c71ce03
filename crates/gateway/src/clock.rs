//! Control's clock as this gateway knows it, and the one source of entropy.

use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use remuda_types::{Entropy, RequestId, Span, Time, TrancheId};

/// Control's time when it was last heard, carried on by the machine's monotonic clock. Until control
/// was heard, the system's clock is believed.
#[derive(Debug)]
pub(crate) struct Clock {
    heard: Mutex<(Time, Instant)>,
}

impl Clock {
    pub(crate) fn of_system() -> Self {
        Self {
            heard: Mutex::new((system_now(), Instant::now())),
        }
    }

    /// Now, by control's clock.
    pub(crate) fn now(&self) -> Time {
        let (time, at) = *self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        time + span(at.elapsed())
    }

    /// Control says that it is `time` now.
    pub(crate) fn hear(&self, time: Time) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = (time, Instant::now());
    }

    pub(crate) fn request_id(&self) -> RequestId {
        RequestId::new(self.now(), Entropy(random()))
    }

    pub(crate) fn tranche_id(&self) -> TrancheId {
        TrancheId::new(self.now(), Entropy(random()))
    }
}

/// Whole milliseconds of a duration.
pub(crate) fn span(duration: std::time::Duration) -> Span {
    Span::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

fn system_now() -> Time {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let millis = since.unwrap_or_default().as_millis();
    Time::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

/// Bytes from the system's generator.
///
/// # Panics
/// When the system has no entropy to give, without which no key, id or seed may be made.
#[expect(
    clippy::expect_used,
    reason = "a system without entropy can run nothing here"
)]
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system's random generator answers");
    bytes
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
