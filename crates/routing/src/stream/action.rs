//! What a stream hears and what it wants done.

use remuda_types::{LeaseId, Span, Time};

use crate::admission::queue::Turn;
use crate::pick::Outcome;

/// What the gateway is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Give the client this token. Exactly once for each index, in order.
    Forward {
        /// Position in the output, from 0.
        index: u32,
        /// The token.
        id: u32,
    },
    /// Pick a replica and send it the prompt and `generated`; then say `dispatched`, or
    /// `no_replica`.
    Dispatch {
        /// Leases not to pick.
        exclude: Vec<LeaseId>,
        /// What an earlier replica generated already.
        generated: Vec<u32>,
        /// How to wait for one.
        turn: Turn,
    },
    /// Close the stream to the lease.
    Cancel {
        /// Which.
        lease: LeaseId,
    },
    /// Ask the lease's engine whether it lives; then say `probe_answered` or `probe_failed`.
    Probe {
        /// Which.
        lease: LeaseId,
    },
    /// The lease has done its part, exactly once for each dispatch: tell the balancer.
    Done {
        /// Which.
        lease: LeaseId,
        /// What it showed of its health.
        outcome: Outcome,
    },
    /// The lease, done with already, has been shown to be wrong: tell the balancer that it failed.
    Blame {
        /// Which.
        lease: LeaseId,
    },
    /// Tell the client that the answer is complete.
    Finish {
        /// Why it ended.
        reason: Finish,
        /// Tokens forwarded.
        tokens: u32,
    },
    /// Tell the client that the answer cannot be completed.
    Fail {
        /// Why.
        why: Failure,
    },
}

/// Why a complete answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The model ended its turn, or a stop sequence came.
    Stop,
    /// `max_tokens`, or the context's end.
    Length,
}

/// Why an answer could not be completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// No replica could be had in time.
    #[error("no replica was left to serve the request")]
    NoReplicaLeft,
    /// One replica after the other failed.
    #[error("too many replicas failed during the request")]
    TooManyMoves,
    /// The request can be served nowhere.
    #[error("the request cannot be served by this model: it is too long or malformed")]
    Invalid,
    /// The replica failed in the middle, and the request forbids going on elsewhere.
    #[error("the replica failed and the request does not allow to resume on another")]
    ResumeForbidden,
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With a complete answer.
    Finished(Finish),
    /// Without.
    Failed(Failure),
    /// The client left.
    Abandoned,
}

/// How a replica ended its part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplicaEnd {
    /// The model ended its turn.
    Stop,
    /// `max_tokens`, or the context's end.
    Length,
    /// The replica is draining: go on elsewhere.
    Draining,
}

/// Why a replica did not serve a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It can be served nowhere, says the replica.
    Invalid,
    /// The replica is full.
    Busy,
    /// The replica does not accept the grant.
    NotGranted,
    /// The replica has other weights.
    WrongModel,
    /// The engine failed.
    Broken,
}

/// How the way to a replica broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The node could not be reached.
    Unreachable,
    /// The connection to the node was lost.
    ConnectionLost,
    /// This request's stream ended without an end.
    StreamReset,
    /// What came could not be read.
    Malformed,
}

/// Why a replica was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It refused.
    Refused(Refused),
    /// The way to it broke.
    Broken(Broken),
    /// Its first token did not come in time.
    NoFirstToken,
    /// It fell silent.
    Stalled,
    /// It fell silent, and its engine did not answer a probe.
    ProbeFailed,
    /// It left out a token, sent more than was asked for, or refused after it had begun.
    OutOfOrder,
    /// It ended the answer before its first token.
    Empty,
    /// It is draining.
    Draining,
}

impl Cause {
    /// Whether the replica may still be at work on the request.
    pub(super) fn needs_cancel(self) -> bool {
        match self {
            Self::NoFirstToken | Self::Stalled | Self::ProbeFailed | Self::OutOfOrder => true,
            Self::Refused(_) | Self::Broken(_) | Self::Empty | Self::Draining => false,
        }
    }

    /// Whether the way to the replica may be to blame, so that it may serve when it is asked again.
    pub(super) fn may_pass(self) -> bool {
        match self {
            Self::Broken(Broken::Unreachable | Broken::ConnectionLost | Broken::StreamReset)
            | Self::NoFirstToken
            | Self::Stalled
            | Self::ProbeFailed => true,
            Self::Broken(Broken::Malformed)
            | Self::Refused(_)
            | Self::OutOfOrder
            | Self::Empty
            | Self::Draining => false,
        }
    }

    /// What it says of the replica's health.
    pub(super) fn outcome(self) -> Outcome {
        match self {
            // An empty answer may be right: who contradicts it says who failed.
            Self::Draining | Self::Empty => Outcome::Released,
            Self::Refused(Refused::Busy) => Outcome::Declined,
            Self::Refused(
                Refused::Invalid | Refused::NotGranted | Refused::WrongModel | Refused::Broken,
            )
            | Self::Broken(_)
            | Self::NoFirstToken
            | Self::Stalled
            | Self::ProbeFailed
            | Self::OutOfOrder => Outcome::Failed,
        }
    }
}

/// One move from a replica to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// The lease that was given up.
    pub from: LeaseId,
    /// Why.
    pub cause: Cause,
    /// The index at which the next replica goes on.
    pub index: u32,
    /// When the client had got its last token (or had asked).
    pub silent_since: Time,
    /// When the lease was given up.
    pub left_at: Time,
    /// When the client got the next token.
    pub resumed_at: Option<Time>,
}

impl Move {
    /// How long the client saw nothing: detection, dispatch and prefill together. None while it
    /// waits.
    pub fn gap(&self) -> Option<Span> {
        self.resumed_at
            .map(|resumed_at| resumed_at.since(self.silent_since))
    }
}
