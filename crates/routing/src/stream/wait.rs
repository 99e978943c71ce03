//! The time between two replicas.

use remuda_types::Time;

use super::policy::Policy;

/// A replica has been asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait {
    /// Since when the stream looks for one.
    pub(super) since: Time,
    /// When those to which the way broke may be asked again; none when they may already, or there
    /// are none.
    pub(super) returns_at: Option<Time>,
}

/// What the time asks for.
pub(super) enum Due {
    Nothing,
    Return,
    Over,
}

impl Wait {
    pub(super) fn new(since: Time) -> Self {
        Self {
            since,
            returns_at: None,
        }
    }

    pub(super) fn due(&self, now: Time, policy: &Policy) -> Due {
        if now >= self.since + policy.dispatch_timeout {
            Due::Over
        } else if self.returns_at.is_some_and(|at| now >= at) {
            Due::Return
        } else {
            Due::Nothing
        }
    }

    pub(super) fn next_deadline(&self, policy: &Policy) -> Time {
        let over = self.since + policy.dispatch_timeout;
        self.returns_at.map_or(over, |at| at.min(over))
    }
}
