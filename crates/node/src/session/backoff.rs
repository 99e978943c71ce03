//! When to dial control again: soon, then ever later up to a cap, never at the same instant as
//! every other node.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const CAP: Duration = Duration::from_secs(2);

/// The next pause.
#[derive(Debug)]
pub(super) struct Backoff {
    pause: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { pause: FIRST }
    }
}

impl Backoff {
    /// A session was welcomed: the next pause is the first again.
    pub(super) fn reset(&mut self) {
        self.pause = FIRST;
    }

    /// How long to wait now: between half and all of a pause that doubles.
    pub(super) fn next(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(CAP);
        pause / 2 + pause.mul_f64(random_fraction()) / 2
    }
}

/// Between 0 and 1; a system without entropy gives no jitter.
fn random_fraction() -> f64 {
    f64::from(getrandom::u32().unwrap_or(u32::MAX)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_cap_and_begin_anew() {
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..8).map(|_| backoff.next()).collect();
        assert!(pauses[0] >= FIRST / 2 && pauses[0] <= FIRST);
        assert!(pauses[7] >= CAP / 2 && pauses[7] <= CAP);
        backoff.reset();
        assert!(backoff.next() <= FIRST);
    }
}
