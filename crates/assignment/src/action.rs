//! What the node is to do. Every action is idempotent: done twice, it is done once.

use std::fmt;

use remuda_types::{Span, Time};

use crate::observed::LeaseAt;

/// One thing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Make a record of the replica and fetch what it needs: it is `Preparing`, then `Prepared`.
    Prepare(LeaseAt),
    /// Run what is prepared.
    Start(LeaseAt),
    /// Count one restart and prepare again (what is here already is kept); a start follows.
    Restart(LeaseAt),
    /// Take nothing new, finish what it has, then end by itself.
    Drain {
        /// Which.
        at: LeaseAt,
        /// When a stop will follow.
        deadline: Time,
    },
    /// Take new work again.
    Undrain(LeaseAt),
    /// Ask it to stop; a kill follows after the grace. What does not run yet ends at once.
    Stop {
        /// Which.
        at: LeaseAt,
        /// Why.
        reason: StopReason,
        /// How long it may take.
        grace: Span,
    },
    /// Cut it off from routes and data at once, and kill it: a newer epoch of its lease exists.
    FenceOff(LeaseAt),
    /// End it now: its grace is over, or it is fenced off.
    Kill(LeaseAt),
    /// Drop the record of a replica that has ended.
    Forget(LeaseAt),
}

/// Why a replica is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// The newest assignment does not name it.
    NotAssigned,
    /// Its lease's hard end passed.
    LeaseEnded,
    /// Its spec changed; it is made anew.
    Replaced,
    /// It was to drain, and the deadline passed or it did not run yet.
    Drained,
}

impl Action {
    /// Which replica it is about.
    pub const fn at(&self) -> LeaseAt {
        match self {
            Self::Prepare(at)
            | Self::Start(at)
            | Self::Restart(at)
            | Self::Undrain(at)
            | Self::FenceOff(at)
            | Self::Kill(at)
            | Self::Forget(at)
            | Self::Drain { at, .. }
            | Self::Stop { at, .. } => *at,
        }
    }
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAssigned => "it is not assigned to this node any more",
            Self::LeaseEnded => "its lease ended",
            Self::Replaced => "its spec changed",
            Self::Drained => "it was to drain",
        })
    }
}
