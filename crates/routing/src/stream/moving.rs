//! From one replica to the next: when a stream leaves, and whom it may ask then.

use remuda_types::{LeaseId, Time};

use super::action::{Action, Cause, Failure, Finish, Move};
use super::attempt::Attempt;
use super::wait::Wait;
use super::{Phase, Stream};
use crate::admission::queue::Turn;
use crate::pick::Outcome;

impl Stream {
    /// The replica has ended the generation.
    pub(super) fn complete(&mut self, reason: Finish) {
        let Some(attempt) = self.leave() else { return };
        self.ended_by = Some(attempt.lease);
        self.done(attempt.lease, attempt.served());
        self.finish(reason);
    }

    /// The replica is given up, and the stream moves on if it may.
    pub(super) fn abandon(&mut self, cause: Cause, now: Time) {
        let Some(attempt) = self.leave() else { return };
        let lease = attempt.lease;
        if cause.needs_cancel() {
            self.actions.push_back(Action::Cancel { lease });
        }
        self.done(lease, cause.outcome());
        if cause.may_pass() {
            self.lose(lease);
        } else {
            self.tried.push(lease);
        }
        match self.may_move() {
            Ok(()) => self.move_on(lease, cause, now),
            Err(None) => self.finish(Finish::Length),
            Err(Some(failure)) => self.give_up(failure),
        }
    }

    /// The request did not even reach the node. Like a full replica that is no move, so that a link
    /// that is down for a moment does not use the moves up; the time spent waiting goes on counting.
    pub(super) fn unreached(&mut self, now: Time) {
        let Some(attempt) = self.leave() else { return };
        self.done(attempt.lease, Outcome::Failed);
        self.lose(attempt.lease);
        self.ask_for_replica(attempt.waited_since, now);
        self.tick(now);
    }

    /// The replica is full. That is no failure and no move, and it may be asked again, but the
    /// time spent waiting for a replica goes on counting.
    pub(super) fn declined(&mut self, now: Time) {
        let Some(attempt) = self.leave() else { return };
        self.done(attempt.lease, Outcome::Declined);
        self.ask_for_replica(attempt.waited_since, now);
        self.tick(now);
    }

    /// Whether to go on elsewhere; else why not, or nothing when all tokens are there.
    fn may_move(&self) -> Result<(), Option<Failure>> {
        if self.is_complete() {
            Err(None)
        } else if !self.facts.may_resume && !self.generated.is_empty() {
            Err(Some(Failure::ResumeForbidden))
        } else if self.moves.len() >= self.policy.max_moves {
            Err(Some(Failure::TooManyMoves))
        } else {
            Ok(())
        }
    }

    fn move_on(&mut self, from: LeaseId, cause: Cause, now: Time) {
        self.moves.push(Move {
            from,
            cause,
            index: self.next_index(),
            silent_since: self.forwarded_at,
            left_at: now,
            resumed_at: None,
        });
        self.ask_for_replica(now, now);
    }

    fn lose(&mut self, lease: LeaseId) {
        if !self.lost.contains(&lease) {
            self.lost.push(lease);
        }
    }

    /// Takes the attempt out; the caller decides what comes after.
    pub(super) fn leave(&mut self) -> Option<Attempt> {
        match &self.phase {
            Phase::Running(attempt) => {
                let attempt = attempt.clone();
                self.phase = Phase::Waiting(Wait::new(attempt.waited_since));
                Some(attempt)
            }
            Phase::Waiting(_) | Phase::Over(_) => None,
        }
    }

    /// Asks for one that was not asked yet. Those that were lost come in again after a pause.
    pub(super) fn ask_for_replica(&mut self, since: Time, now: Time) {
        let mut wait = Wait::new(since);
        if !self.lost.is_empty() {
            wait.returns_at = Some(now + self.policy.return_pause(self.returns));
        }
        self.phase = Phase::Waiting(wait);
        self.dispatch(self.last_resorts());
    }

    /// None that was not asked yet has come: those to which the way broke may be asked again.
    pub(super) fn return_to_lost(&mut self) {
        let Phase::Waiting(wait) = &mut self.phase else {
            return;
        };
        wait.returns_at = None;
        self.returns = self.returns.saturating_add(1);
        self.dispatch(self.tried.clone());
    }

    /// Whether the lease may be asked in this wait.
    pub(super) fn is_wanted(&self, lease: LeaseId, wait: Wait) -> bool {
        let too_soon = wait.returns_at.is_some() && self.lost.contains(&lease);
        !too_soon && !self.tried.contains(&lease)
    }

    fn dispatch(&mut self, exclude: Vec<LeaseId>) {
        self.actions.push_back(Action::Dispatch {
            exclude,
            generated: self.generated.clone(),
            turn: self.turn(),
        });
    }

    /// Who has lost a replica waits until there is another; who is new, or asks for a second opinion
    /// only, does not wait for what is not there.
    fn turn(&self) -> Turn {
        let fresh = self.tried.is_empty() && self.lost.is_empty();
        if fresh || self.doubt.is_some() {
            Turn::New
        } else {
            Turn::Resumed
        }
    }

    pub(super) fn done(&mut self, lease: LeaseId, outcome: Outcome) {
        self.actions.push_back(Action::Done { lease, outcome });
    }
}
