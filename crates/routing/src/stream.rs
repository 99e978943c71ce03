//! One stream of tokens that outlives its replicas: the failover state machine, without IO.
//!
//! The gateway feeds in what happens, with the time ([`Stream::token`], [`Stream::broken`],
//! [`Stream::tick`] …), and does what [`Stream::poll`] hands out until there is nothing more.
//!
//! ```text
//!             dispatched                     end, stop, all tokens
//!   Waiting ────────────────▶ Running ─────────────────────────────▶ Over
//!      ▲                         │  stalled, broken, refused, draining,
//!      └─────────────────────────┘  gap in the indexes, probe failed
//! ```
//!
//! A replica to which only the way broke may be asked again after a pause, when there is no other:
//! the gateway's own uplink may have been what failed. One that refused or sent nonsense may not.
//! That a request is invalid, or its answer empty, is believed of no node alone.
//!
//! Promises, whatever replicas and networks do (tested with adversarial orders of events):
//! - the client sees indexes 0, 1, 2 … each exactly once and in order;
//! - one lease at a time is listened to; what an abandoned one still says is dropped;
//! - every lease that was dispatched to gets exactly one [`Action::Done`], so load never leaks;
//! - given ticks, the stream ends.
//!
//! Moving is invisible because the sampler's noise is a hash of (seed, position, token): there is
//! no random state to carry, only the ids generated so far. For the same reason it does no harm if
//! two replicas work on one stream for a while (one thought dead, or later a hedge): both generate
//! the same tokens, and the index says which were forwarded. So suspicion may be quick: a wrong one
//! costs a prefill, never a wrong or a doubled word.

mod action;
mod attempt;
mod doubt;
mod moving;
mod policy;
mod wait;

use std::collections::VecDeque;

use remuda_types::{LeaseId, NodeKey, Span, Time};

use crate::meter::{Delivered, Delivery};

pub use action::{Action, Broken, Cause, Ended, Failure, Finish, Move, Refused, ReplicaEnd};
use attempt::{Attempt, Due};
use doubt::Doubt;
pub use policy::{Facts, Pace, Policy};
use wait::Wait;

/// Where a stream stands.
#[derive(Clone, Debug)]
enum Phase {
    /// A replica has been asked for.
    Waiting(Wait),
    /// A replica generates.
    Running(Attempt),
    /// Nothing more will happen.
    Over(Ended),
}

/// One request's stream.
#[derive(Clone, Debug)]
pub struct Stream {
    facts: Facts,
    policy: Policy,
    pace: Pace,
    phase: Phase,
    generated: Vec<u32>,
    delivered: Vec<Delivered>,
    /// Leases that are never asked again.
    tried: Vec<LeaseId>,
    /// Leases to which the way broke: not asked again before a pause.
    lost: Vec<LeaseId>,
    /// How often the lost ones were let in again.
    returns: u32,
    /// What a second node has to confirm.
    doubt: Option<Doubt>,
    moves: Vec<Move>,
    /// When the client last got a token (or asked).
    forwarded_at: Time,
    ended_by: Option<LeaseId>,
    actions: VecDeque<Action>,
}

impl Stream {
    /// A request that has been admitted; the first action asks for a replica.
    pub fn new(facts: Facts, policy: Policy, pace: Pace, now: Time) -> Self {
        let mut stream = Self {
            facts,
            policy,
            pace,
            phase: Phase::Waiting(Wait::new(now)),
            generated: Vec::new(),
            delivered: Vec::new(),
            tried: Vec::new(),
            lost: Vec::new(),
            returns: 0,
            doubt: None,
            moves: Vec::new(),
            forwarded_at: now,
            ended_by: None,
            actions: VecDeque::new(),
        };
        stream.ask_for_replica(now, now);
        stream
    }

    /// The next thing to do; call until there is none.
    pub fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The request has been sent to `lease`, which is on `node`. A lease that is not wanted (any
    /// longer) is cancelled.
    pub fn dispatched(&mut self, lease: LeaseId, node: NodeKey, now: Time) {
        match self.phase {
            Phase::Waiting(wait) if self.is_wanted(lease, wait) => {
                let patience = self.first_token_patience();
                self.phase = Phase::Running(Attempt::new(lease, node, wait.since, now, patience));
            }
            Phase::Waiting(wait) => {
                self.refuse_dispatch(lease);
                self.ask_for_replica(wait.since, now);
            }
            Phase::Running(_) | Phase::Over(_) => self.refuse_dispatch(lease),
        }
    }

    /// There is no replica to send to, and none is to be waited for.
    pub fn no_replica(&mut self) {
        if matches!(self.phase, Phase::Waiting(_)) {
            self.give_up(Failure::NoReplicaLeft);
        }
    }

    /// A token came from `lease`.
    pub fn token(&mut self, lease: LeaseId, index: u32, id: u32, now: Time) {
        let (expected, complete) = (self.next_index(), self.is_complete());
        let Some(attempt) = self.running(lease) else {
            return;
        };
        if index < expected {
            return; // a doubled frame: delivered before
        }
        if index > expected || complete {
            return self.abandon(Cause::OutOfOrder, now);
        }
        attempt.heard(now);
        self.forward(lease, index, id, now);
    }

    /// `lease` says that the generation is over.
    pub fn end(&mut self, lease: LeaseId, reason: ReplicaEnd, now: Time) {
        if self.running(lease).is_none() {
            return;
        }
        match reason {
            ReplicaEnd::Stop => self.ended_as(Finish::Stop, now),
            ReplicaEnd::Length => self.ended_as(Finish::Length, now),
            ReplicaEnd::Draining => self.abandon(Cause::Draining, now),
        }
    }

    /// `lease` does not serve the request.
    pub fn refused(&mut self, lease: LeaseId, kind: Refused, now: Time) {
        let Some(attempt) = self.running(lease) else {
            return;
        };
        match kind {
            Refused::Busy if attempt.has_spoken() => self.abandon(Cause::OutOfOrder, now),
            Refused::Busy => self.declined(now),
            Refused::Invalid => self.called_invalid(now),
            Refused::NotGranted | Refused::WrongModel | Refused::Broken => {
                self.abandon(Cause::Refused(kind), now);
            }
        }
    }

    /// The way to `lease` has broken.
    pub fn broken(&mut self, lease: LeaseId, kind: Broken, now: Time) {
        if self.running(lease).is_none() {
            return;
        }
        match kind {
            Broken::Unreachable => self.unreached(now),
            Broken::ConnectionLost | Broken::StreamReset | Broken::Malformed => {
                self.abandon(Cause::Broken(kind), now);
            }
        }
    }

    /// `lease` has answered the probe: it lives, if slowly.
    pub fn probe_answered(&mut self, lease: LeaseId, now: Time) {
        if let Some(attempt) = self.running(lease) {
            attempt.probe_answered(now);
        }
    }

    /// `lease` has not answered the probe in time: as good as broken, whatever its stream says, if
    /// there is one `elsewhere` that could take over. Else a replica that is slow to answer is better
    /// than none; it is asked again, and the limit on silence still stands.
    pub fn probe_failed(&mut self, lease: LeaseId, elsewhere: bool, now: Time) {
        let worth_a_move = elsewhere && self.moves.len() < self.policy.max_moves;
        if !self
            .running(lease)
            .is_some_and(|attempt| attempt.is_probed())
        {
            return;
        }
        if worth_a_move {
            self.abandon(Cause::ProbeFailed, now);
        } else {
            self.actions.push_back(Action::Probe { lease });
        }
    }

    /// Time has passed: acts on what is due. Call at [`Stream::next_deadline`].
    pub fn tick(&mut self, now: Time) {
        match &mut self.phase {
            Phase::Waiting(wait) => match wait.due(now, &self.policy) {
                wait::Due::Nothing => {}
                wait::Due::Return => self.return_to_lost(),
                wait::Due::Over => self.give_up(Failure::NoReplicaLeft),
            },
            Phase::Running(attempt) => match attempt.due(now, &self.policy, self.pace) {
                Due::Nothing => {}
                Due::Probe => {
                    let lease = attempt.probe(now);
                    self.actions.push_back(Action::Probe { lease });
                }
                Due::Lost(cause) => self.abandon(cause, now),
            },
            Phase::Over(_) => {}
        }
    }

    /// The gateway has found a stop sequence in the text, or needs no more: finishes in order.
    pub fn stop(&mut self) {
        self.close(|stream| stream.finish(Finish::Stop));
    }

    /// The client has left. What was forwarded is billed; nothing more is.
    pub fn abandoned(&mut self) {
        self.close(|stream| stream.phase = Phase::Over(Ended::Abandoned));
    }

    /// When [`Stream::tick`] will next do something; none when the stream is over.
    pub fn next_deadline(&self) -> Option<Time> {
        match &self.phase {
            Phase::Waiting(wait) => Some(wait.next_deadline(&self.policy)),
            Phase::Running(attempt) => Some(attempt.next_deadline(&self.policy, self.pace)),
            Phase::Over(_) => None,
        }
    }

    /// How the stream ended; none while it goes on.
    pub fn ended(&self) -> Option<Ended> {
        match self.phase {
            Phase::Over(ended) => Some(ended),
            Phase::Waiting(_) | Phase::Running(_) => None,
        }
    }

    /// The lease that is listened to.
    pub fn lease(&self) -> Option<LeaseId> {
        match &self.phase {
            Phase::Running(attempt) => Some(attempt.lease),
            Phase::Waiting(_) | Phase::Over(_) => None,
        }
    }

    /// All ids forwarded so far.
    pub fn generated(&self) -> &[u32] {
        &self.generated
    }

    /// Leases that are never to be asked again for this request.
    pub fn tried(&self) -> &[LeaseId] {
        &self.tried
    }

    /// Leases that are not to be asked before all others: those, and the ones to which the way broke.
    pub fn last_resorts(&self) -> Vec<LeaseId> {
        [&self.tried[..], &self.lost[..]].concat()
    }

    /// The moves from replica to replica.
    pub fn moves(&self) -> &[Move] {
        &self.moves
    }

    /// What to bill: who delivered what.
    pub fn delivery(&self) -> Delivery {
        Delivery {
            prompt_tokens: self.facts.prompt_tokens,
            delivered: self.delivered.clone(),
            ended_by: self.ended_by,
        }
    }

    pub(crate) fn facts(&self) -> Facts {
        self.facts
    }

    pub(crate) fn policy(&self) -> Policy {
        self.policy
    }

    pub(crate) fn delivered(&self) -> &[Delivered] {
        &self.delivered
    }

    fn running(&mut self, lease: LeaseId) -> Option<&mut Attempt> {
        match &mut self.phase {
            Phase::Running(attempt) if attempt.lease == lease => Some(attempt),
            Phase::Waiting(_) | Phase::Running(_) | Phase::Over(_) => None,
        }
    }

    fn next_index(&self) -> u32 {
        u32::try_from(self.generated.len()).unwrap_or(u32::MAX)
    }

    fn is_complete(&self) -> bool {
        self.next_index() >= self.facts.max_tokens.get()
    }

    /// A replica prefills the prompt and all that was generated before its first token.
    fn first_token_patience(&self) -> Span {
        let tokens = u64::from(self.facts.prompt_tokens) + u64::from(self.next_index());
        let prefill_ms = tokens.saturating_mul(self.policy.prefill_us_per_token) / 1_000;
        self.policy
            .first_token_timeout
            .saturating_add(Span::from_millis(prefill_ms))
    }

    fn forward(&mut self, lease: LeaseId, index: u32, id: u32, now: Time) {
        self.contradict();
        self.generated.push(id);
        match self.delivered.last_mut().filter(|part| part.lease == lease) {
            Some(part) => part.tokens += 1,
            None => self.delivered.push(Delivered { lease, tokens: 1 }),
        }
        if let Some(open) = self
            .moves
            .last_mut()
            .filter(|last| last.resumed_at.is_none())
        {
            open.resumed_at = Some(now);
        }
        self.forwarded_at = now;
        self.actions.push_back(Action::Forward { index, id });
    }

    /// Cancels what runs, then `end`s, unless the stream is over.
    fn close(&mut self, end: impl FnOnce(&mut Self)) {
        if self.ended().is_some() {
            return;
        }
        if let Some(attempt) = self.leave() {
            let lease = attempt.lease;
            self.actions.push_back(Action::Cancel { lease });
            self.actions.push_back(Action::Done {
                lease,
                outcome: attempt.cut_short(),
            });
        }
        end(self);
    }

    fn refuse_dispatch(&mut self, lease: LeaseId) {
        self.actions.push_back(Action::Cancel { lease });
        self.actions.push_back(Action::Done {
            lease,
            outcome: crate::pick::Outcome::Released,
        });
    }
}

#[cfg(test)]
mod tests;
