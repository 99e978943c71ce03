//! When a replica that ended by itself is tried again: at once, then ever later, up to a cap.

use remuda_types::{Span, Time};

use crate::observed::{Replica, State};

/// The pace of restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestartPolicy {
    /// Before the second restart in a row; it doubles with each. The first comes at once.
    pub delay: Span,
    /// Never more than this.
    pub cap: Span,
    /// A replica that was ready for so long counts its restarts from none again.
    pub stable_after: Span,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self {
            delay: Span::from_secs(1),
            cap: Span::from_secs(60),
            stable_after: Span::from_secs(600),
        }
    }
}

impl RestartPolicy {
    /// How long to wait after an end that follows `restarts` restarts in a row.
    pub fn backoff(&self, restarts: u32) -> Span {
        let Some(doublings) = restarts.checked_sub(1) else {
            return Span::ZERO;
        };
        let factor = 1_u64.checked_shl(doublings).unwrap_or(u64::MAX);
        Span::from_millis(self.delay.as_millis().saturating_mul(factor)).min(self.cap)
    }

    /// When a replica that has ended is next tried; nothing when it runs or trying cannot help.
    pub fn not_before(&self, replica: &Replica) -> Option<Time> {
        match replica.state {
            State::Ended(exit) if exit.restartable() => {
                Some(replica.since + self.backoff(replica.restarts))
            }
            State::Ended(_)
            | State::Preparing
            | State::Prepared
            | State::Starting
            | State::Ready
            | State::Unhealthy
            | State::Draining
            | State::Stopping => None,
        }
    }

    /// The count to record for a replica that ends after it was ready for `ready`.
    pub fn restarts_after(&self, ready: Span, restarts: u32) -> u32 {
        if ready >= self.stable_after {
            0
        } else {
            restarts
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_up_to_its_cap() {
        let policy = RestartPolicy::default();
        let seconds: Vec<_> = [0, 1, 2, 3, 6, 7, 8, 63, 64, 65, u32::MAX]
            .map(|n| policy.backoff(n).as_millis() / 1_000)
            .into();
        assert_eq!(seconds, [0, 1, 2, 4, 32, 60, 60, 60, 60, 60, 60]);
        assert_eq!(policy.restarts_after(Span::from_secs(599), 4), 4);
        assert_eq!(policy.restarts_after(Span::from_secs(600), 4), 0);
    }
}
