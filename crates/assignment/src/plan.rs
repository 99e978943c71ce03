//! The plan: one decision for each local replica, and one for each that is assigned and not here.

use remuda_types::Time;

use crate::action::{Action, StopReason};
use crate::desired::{Assigned, Assignment, Desired, Wanted};
use crate::observed::{Exit, LeaseAt, Observed, Replica, State};
use crate::restart::RestartPolicy;
use crate::thresholds::Thresholds;

/// What to do now; empty when what is here is what is wanted. At most one action for each replica.
pub fn plan(
    desired: &Desired,
    observed: &Observed,
    restarts: &RestartPolicy,
    now: Time,
) -> Vec<Action> {
    walk(desired, observed, restarts, &mut Thresholds::new(now))
}

/// The earliest instant after `now` at which [`plan`] could say something else though nothing else
/// changed: a hard end, a deadline, a grace, a backoff.
pub fn next_deadline(
    desired: &Desired,
    observed: &Observed,
    restarts: &RestartPolicy,
    now: Time,
) -> Option<Time> {
    let mut time = Thresholds::new(now);
    drop(walk(desired, observed, restarts, &mut time));
    time.next()
}

fn walk(
    desired: &Desired,
    observed: &Observed,
    restarts: &RestartPolicy,
    time: &mut Thresholds,
) -> Vec<Action> {
    let mut actions = Vec::new();
    for (at, replica) in observed {
        let local = Local {
            at: *at,
            replica,
            restarts,
            alone: is_alone(observed, *at),
        };
        actions.extend(local.decide(Claim::of(desired.assignment(), *at), time));
    }
    let assigned = desired
        .assignment()
        .into_iter()
        .flat_map(Assignment::replicas);
    let missing = assigned.filter(|assigned| !observed.contains_key(&assigned.at()));
    actions.extend(missing.filter_map(|assigned| begin(assigned, time)));
    actions
}

/// Whether no other epoch of the same lease is left.
fn is_alone(observed: &Observed, at: LeaseAt) -> bool {
    let all = LeaseAt { epoch: 0, ..at }..=LeaseAt {
        epoch: u64::MAX,
        ..at
    };
    observed
        .range(all)
        .all(|(other, replica)| *other == at || replica.state.has_ended())
}

/// Begins what is assigned and not here.
fn begin(assigned: &Assigned, time: &mut Thresholds) -> Option<Action> {
    let run = assigned.wanted == Wanted::Run && !time.passed(assigned.hard_end);
    run.then(|| Action::Prepare(assigned.at()))
}

/// What the newest assignment says of a local replica.
#[derive(Clone, Copy)]
enum Claim<'a> {
    /// There is no assignment: nothing is known, so nothing is stopped.
    Unknown,
    /// Its lease is not assigned here, or only at an older epoch.
    NotAssigned,
    /// Its lease is assigned here at a newer epoch.
    Superseded,
    /// This is what is wanted of it.
    Assigned(&'a Assigned),
}

impl<'a> Claim<'a> {
    fn of(assignment: Option<&'a Assignment>, at: LeaseAt) -> Self {
        let Some(assignment) = assignment else {
            return Self::Unknown;
        };
        match assignment.get(&at.lease) {
            Some(assigned) if assigned.lease_epoch == at.epoch => Self::Assigned(assigned),
            Some(assigned) if assigned.lease_epoch > at.epoch => Self::Superseded,
            Some(_) | None => Self::NotAssigned,
        }
    }
}

/// A local replica with what its decision needs to know.
struct Local<'a> {
    at: LeaseAt,
    replica: &'a Replica,
    restarts: &'a RestartPolicy,
    /// No other epoch of its lease is left.
    alone: bool,
}

impl Local<'_> {
    fn decide(&self, claim: Claim<'_>, time: &mut Thresholds) -> Option<Action> {
        match self.replica.state {
            State::Ended(exit) => self.ended(exit, claim, time),
            State::Stopping => self.stopping(claim, time),
            State::Preparing
            | State::Prepared
            | State::Starting
            | State::Ready
            | State::Unhealthy
            | State::Draining => self.living(claim, time),
        }
    }

    fn ended(&self, exit: Exit, claim: Claim<'_>, time: &mut Thresholds) -> Option<Action> {
        match claim {
            Claim::Unknown => None,
            Claim::NotAssigned | Claim::Superseded => {
                self.replica.end_reported.then_some(Action::Forget(self.at))
            }
            // Control asked for another spec, so it has no use for the end of the old one.
            Claim::Assigned(assigned) if self.differs(assigned) => Some(Action::Forget(self.at)),
            Claim::Assigned(assigned) => self.again(exit, assigned, time),
        }
    }

    fn again(&self, exit: Exit, assigned: &Assigned, time: &mut Thresholds) -> Option<Action> {
        let wanted = assigned.wanted == Wanted::Run && exit.restartable();
        if !wanted || time.passed(assigned.hard_end) {
            return None;
        }
        let due = self.restarts.not_before(self.replica)?;
        time.passed(due).then_some(Action::Restart(self.at))
    }

    fn stopping(&self, claim: Claim<'_>, time: &mut Thresholds) -> Option<Action> {
        let fenced = matches!(claim, Claim::Superseded);
        let over = fenced || time.passed(self.replica.since + self.replica.stop_grace);
        over.then_some(Action::Kill(self.at))
    }

    fn living(&self, claim: Claim<'_>, time: &mut Thresholds) -> Option<Action> {
        match claim {
            Claim::Unknown => time
                .passed(self.replica.hard_end)
                .then(|| self.stop(StopReason::LeaseEnded)),
            Claim::NotAssigned => Some(self.stop(StopReason::NotAssigned)),
            Claim::Superseded => Some(Action::FenceOff(self.at)),
            Claim::Assigned(assigned) if time.passed(assigned.hard_end) => {
                Some(self.stop(StopReason::LeaseEnded))
            }
            Claim::Assigned(assigned) if self.differs(assigned) => {
                Some(self.stop(StopReason::Replaced))
            }
            Claim::Assigned(assigned) => match assigned.wanted {
                Wanted::Run => self.run(),
                Wanted::Drain { deadline } => self.drain(deadline, time),
            },
        }
    }

    fn run(&self) -> Option<Action> {
        match self.replica.state {
            State::Prepared => self.alone.then_some(Action::Start(self.at)),
            State::Draining => Some(Action::Undrain(self.at)),
            State::Preparing
            | State::Starting
            | State::Ready
            | State::Unhealthy
            | State::Stopping
            | State::Ended(_) => None,
        }
    }

    fn drain(&self, deadline: Time, time: &mut Thresholds) -> Option<Action> {
        if time.passed(deadline) {
            return Some(self.stop(StopReason::Drained));
        }
        match self.replica.state {
            State::Preparing | State::Prepared => Some(self.stop(StopReason::Drained)),
            State::Starting | State::Ready | State::Unhealthy => Some(Action::Drain {
                at: self.at,
                deadline,
            }),
            State::Draining | State::Stopping | State::Ended(_) => None,
        }
    }

    fn stop(&self, reason: StopReason) -> Action {
        Action::Stop {
            at: self.at,
            reason,
            grace: self.replica.stop_grace,
        }
    }

    fn differs(&self, assigned: &Assigned) -> bool {
        self.replica.spec_digest != assigned.spec_digest
    }
}
