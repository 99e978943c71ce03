//! What no node is believed alone: that a request is invalid, or its answer empty.
//!
//! The gateway has checked length and vocabulary itself, so either is more likely a node that serves
//! nobody than a fault of the request. Who calls it invalid first counts as failed; who answers with
//! nothing, when another has something to say. A second node that says the same is believed. With no
//! second node to ask, an empty answer is taken as it is, for it may be right, and the request is not
//! called invalid.

use std::mem::discriminant;

use remuda_types::{LeaseId, NodeKey, Time};

use super::action::{Cause, Ended, Failure, Finish, Refused};
use super::{Action, Phase, Stream};
use crate::pick::Outcome;

/// What a replica claims.
#[derive(Clone, Copy, Debug)]
enum Claim {
    /// The request can be served nowhere.
    Invalid,
    /// The answer has no token, and ended so.
    Empty(Finish),
}

/// A claim that waits for a second node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doubt {
    claim: Claim,
    by: LeaseId,
    node: NodeKey,
}

impl Stream {
    /// The replica that runs says that the answer is complete.
    pub(super) fn ended_as(&mut self, finish: Finish, now: Time) {
        let claim = Claim::Empty(finish);
        if !self.generated.is_empty() || self.is_confirmed(claim) {
            self.complete(finish);
        } else {
            self.doubt(claim, Cause::Empty, now);
        }
    }

    /// The replica that runs says that the request can be served nowhere.
    pub(super) fn called_invalid(&mut self, now: Time) {
        if self.is_confirmed(Claim::Invalid) {
            self.believe_invalid();
        } else {
            self.doubt(Claim::Invalid, Cause::Refused(Refused::Invalid), now);
        }
    }

    /// Whether another node has claimed what the one that runs claims.
    fn is_confirmed(&self, claim: Claim) -> bool {
        let Phase::Running(attempt) = &self.phase else {
            return false;
        };
        let alike = |doubt: Doubt| discriminant(&doubt.claim) == discriminant(&claim);
        self.doubt
            .is_some_and(|doubt| alike(doubt) && doubt.node != attempt.node)
    }

    /// Leaves the replica that claims this, and asks another.
    fn doubt(&mut self, claim: Claim, cause: Cause, now: Time) {
        let Phase::Running(attempt) = &self.phase else {
            return;
        };
        self.doubt = Some(Doubt {
            claim,
            by: attempt.lease,
            node: attempt.node,
        });
        self.abandon(cause, now);
    }

    /// A token came: what was claimed is wrong.
    pub(super) fn contradict(&mut self) {
        if let Some(Doubt {
            claim: Claim::Empty(_),
            by,
            ..
        }) = self.doubt.take()
        {
            self.actions.push_back(Action::Blame { lease: by });
        }
    }

    /// A second node has said so.
    fn believe_invalid(&mut self) {
        let Some(attempt) = self.leave() else { return };
        self.done(attempt.lease, Outcome::Released);
        self.fail(Failure::Invalid);
    }

    /// Nobody is left to ask.
    pub(super) fn give_up(&mut self, why: Failure) {
        match self.doubt.take() {
            Some(Doubt {
                claim: Claim::Empty(finish),
                by,
                ..
            }) => {
                self.ended_by = Some(by);
                self.finish(finish);
            }
            Some(Doubt {
                claim: Claim::Invalid,
                ..
            })
            | None => self.fail(why),
        }
    }

    pub(super) fn finish(&mut self, reason: Finish) {
        self.phase = Phase::Over(Ended::Finished(reason));
        self.actions.push_back(Action::Finish {
            reason,
            tokens: self.next_index(),
        });
    }

    fn fail(&mut self, why: Failure) {
        self.phase = Phase::Over(Ended::Failed(why));
        self.actions.push_back(Action::Fail { why });
    }
}
