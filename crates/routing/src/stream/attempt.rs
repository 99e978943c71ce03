//! One replica's turn at a stream, and how long it may be silent.

use remuda_types::{LeaseId, NodeKey, Span, Time};

use super::action::Cause;
use super::policy::{Pace, Policy, is_over};
use crate::pick::Outcome;

/// One replica at work.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) lease: LeaseId,
    pub(super) node: NodeKey,
    /// Since when the stream looked for a replica.
    pub(super) waited_since: Time,
    dispatched_at: Time,
    /// How long the first token may take.
    patience: Span,
    /// When the first token came, and the last.
    spoke: Option<Spoke>,
    probe: Probe,
    /// When its engine last answered a probe.
    alive_at: Option<Time>,
}

#[derive(Clone, Copy, Debug)]
struct Spoke {
    first: Time,
    last: Time,
}

/// The probe for early suspicion.
#[derive(Clone, Copy, Debug)]
enum Probe {
    /// None is on its way; silence counts from here.
    Idle { since: Time },
    /// One is on its way, or several have gone unanswered, since then.
    Sent { since: Time },
}

/// What the time asks for.
pub(super) enum Due {
    Nothing,
    Probe,
    Lost(Cause),
}

impl Attempt {
    pub(super) fn new(
        lease: LeaseId,
        node: NodeKey,
        waited_since: Time,
        now: Time,
        patience: Span,
    ) -> Self {
        let probe = Probe::Idle { since: now };
        Self {
            lease,
            node,
            waited_since,
            dispatched_at: now,
            patience,
            spoke: None,
            probe,
            alive_at: None,
        }
    }

    pub(super) fn heard(&mut self, now: Time) {
        let first = self.spoke.map_or(now, |spoke| spoke.first);
        self.spoke = Some(Spoke { first, last: now });
        self.probe = Probe::Idle { since: now };
    }

    pub(super) fn has_spoken(&self) -> bool {
        self.spoke.is_some()
    }

    pub(super) fn probe(&mut self, now: Time) -> LeaseId {
        self.probe = Probe::Sent { since: now };
        self.lease
    }

    pub(super) fn is_probed(&self) -> bool {
        matches!(self.probe, Probe::Sent { .. })
    }

    pub(super) fn probe_answered(&mut self, now: Time) {
        if self.is_probed() {
            self.probe = Probe::Idle { since: now };
            self.alive_at = Some(now);
        }
    }

    /// The replica did all that was asked.
    pub(super) fn served(&self) -> Outcome {
        let first_token = self
            .spoke
            .map(|spoke| spoke.first.since(self.dispatched_at));
        Outcome::Served { first_token }
    }

    /// The gateway or the client wanted no more.
    pub(super) fn cut_short(&self) -> Outcome {
        if self.has_spoken() {
            self.served()
        } else {
            Outcome::Released
        }
    }

    pub(super) fn due(&self, now: Time, policy: &Policy, pace: Pace) -> Due {
        let (lost_at, cause) = self.lost_at(policy, pace);
        match self.probe {
            _ if now >= lost_at => Due::Lost(cause),
            Probe::Idle { since } if is_over(since, policy.suspicion(pace), now) => Due::Probe,
            Probe::Idle { .. } | Probe::Sent { .. } => Due::Nothing,
        }
    }

    pub(super) fn next_deadline(&self, policy: &Policy, pace: Pace) -> Time {
        let (lost_at, _) = self.lost_at(policy, pace);
        match self.probe {
            Probe::Idle { since } => lost_at.min(since + policy.suspicion(pace)),
            Probe::Sent { .. } => lost_at,
        }
    }

    /// When its silence is as good as its end, and what that is called.
    fn lost_at(&self, policy: &Policy, pace: Pace) -> (Time, Cause) {
        let (silent, cause) = match self.spoke {
            Some(spoke) => (spoke.last + policy.stall(pace), Cause::Stalled),
            None => (self.dispatched_at + self.patience, Cause::NoFirstToken),
        };
        let excused = self
            .excused_until(policy, pace)
            .min(silent + policy.most_silence);
        (silent.max(excused), cause)
    }

    /// An engine that answers probes is at work, if slowly, and the answer to one that is on its way
    /// is waited for.
    fn excused_until(&self, policy: &Policy, pace: Pace) -> Time {
        let alive = self.alive_at.map(|at| at + policy.stall(pace));
        let asked = match self.probe {
            Probe::Sent { since } => Some(since + policy.most_answer),
            Probe::Idle { .. } => None,
        };
        alive.max(asked).unwrap_or(Time::EPOCH)
    }
}
