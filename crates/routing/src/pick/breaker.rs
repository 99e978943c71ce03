//! The circuit breaker of one replica: closed, open for a time, half open for one request.

use remuda_types::{Span, Time};

use super::{Outcome, Policy};

/// Whether requests may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Breaker {
    /// All pass.
    Closed { failures: u32 },
    /// None passes until then; after that one does.
    Open { until: Time, ejections: u32 },
    /// The one that passes is on its way.
    Trial { ejections: u32 },
}

impl Default for Breaker {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

impl Breaker {
    /// For how long no request may pass; none when one may.
    pub(super) fn closed_for(self, now: Time, policy: &Policy) -> Option<Span> {
        match self {
            Self::Closed { .. } => None,
            Self::Open { until, .. } => (now < until).then(|| until.since(now)),
            Self::Trial { .. } => Some(policy.busy_pause),
        }
    }

    /// A request is on its way.
    pub(super) fn tried(&mut self) {
        if let Self::Open { ejections, .. } = *self {
            *self = Self::Trial { ejections };
        }
    }

    /// A request has got its first token: the trial is won, however long the rest takes.
    pub(super) fn spoke(&mut self) {
        if self.is_in_trial() {
            *self = Self::default();
        }
    }

    /// A request has ended.
    pub(super) fn learned(&mut self, outcome: Outcome, now: Time, policy: &Policy) {
        *self = match outcome {
            Outcome::Served { .. } => Self::default(),
            Outcome::Failed => self.after_failure(now, policy),
            Outcome::Declined | Outcome::Released => self.after_nothing(now),
        };
    }

    fn after_failure(self, now: Time, policy: &Policy) -> Self {
        match self {
            Self::Closed { failures } if failures.saturating_add(1) < policy.failures_to_eject => {
                Self::Closed {
                    failures: failures.saturating_add(1),
                }
            }
            Self::Closed { .. } => eject(0, now, policy),
            Self::Trial { ejections } => eject(ejections, now, policy),
            // A trial that seemed to show nothing.
            Self::Open { until, ejections } if now >= until => eject(ejections, now, policy),
            // An older request of those that were in flight when the replica was ejected.
            open @ Self::Open { .. } => open,
        }
    }

    /// The trial has shown nothing: the next request is the trial.
    fn after_nothing(self, now: Time) -> Self {
        match self {
            Self::Trial { ejections } => Self::Open {
                until: now,
                ejections,
            },
            other @ (Self::Closed { .. } | Self::Open { .. }) => other,
        }
    }

    pub(super) const fn is_in_trial(self) -> bool {
        matches!(self, Self::Trial { .. })
    }

    pub(super) const fn is_open(self) -> bool {
        matches!(self, Self::Open { .. })
    }
}

fn eject(before: u32, now: Time, policy: &Policy) -> Breaker {
    let factor = 1_u64.checked_shl(before).unwrap_or(u64::MAX);
    let wait = Span::from_millis(policy.eject_least.as_millis().saturating_mul(factor));
    Breaker::Open {
        until: now + wait.min(policy.eject_most),
        ejections: before.saturating_add(1),
    }
}
