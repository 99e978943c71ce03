//! What is here: the node's own record of every replica it has.

use std::collections::BTreeMap;
use std::fmt;

use remuda_types::{Digest, LeaseId, Span, Time};

/// A lease at one of its epochs: what a local replica is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeaseAt {
    /// The lease.
    pub lease: LeaseId,
    /// Its epoch.
    pub epoch: u64,
}

/// Every local replica, those that have ended included until they are forgotten.
pub type Observed = BTreeMap<LeaseAt, Replica>;

/// One local replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replica {
    /// How far it is.
    pub state: State,
    /// Since when it is in that state.
    pub since: Time,
    /// What it was made from.
    pub spec_digest: Digest,
    /// Its lease's hard end as last known here; counts while no assignment names the lease.
    /// `Time::FOREVER` when it is not known.
    pub hard_end: Time,
    /// How long it may take from a polite request to stop until it is killed.
    pub stop_grace: Span,
    /// How often it was restarted since it last ran for the policy's `stable_after`.
    pub restarts: u32,
    /// Whether control has taken note of its end.
    pub end_reported: bool,
}

/// How far a replica is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Fetching what it needs.
    Preparing,
    /// All it needs is here; it does not run yet.
    Prepared,
    /// Started, not yet served a probe.
    Starting,
    /// A probe was served.
    Ready,
    /// Probes fail, the process lives.
    Unhealthy,
    /// Takes nothing new, finishes what it has.
    Draining,
    /// Was asked to stop, or killed, and is not gone yet.
    Stopping,
    /// Over.
    Ended(Exit),
}

/// How a replica ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It was told to.
    Stopped,
    /// Its program ended by itself with success. What follows is for control to say: a job is done,
    /// a service is not.
    Completed,
    /// Its program failed.
    Crashed,
    /// It used more memory than its shape.
    OutOfMemory,
    /// What it needs could not be fetched, or is not what its digest says.
    PrepareFailed,
    /// It never became ready.
    NeverReady,
    /// Its lease's hard end passed.
    LeaseEnded,
    /// The node's policy forbids its runtime.
    RuntimeRefused,
    /// The daemon restarted and the replica did not outlive it.
    DaemonRestarted,
}

impl State {
    /// Whether it is over.
    pub const fn has_ended(self) -> bool {
        matches!(self, Self::Ended(_))
    }

    /// Whether something of it may run.
    pub const fn runs(self) -> bool {
        match self {
            Self::Starting | Self::Ready | Self::Unhealthy | Self::Draining | Self::Stopping => {
                true
            }
            Self::Preparing | Self::Prepared | Self::Ended(_) => false,
        }
    }
}

impl Exit {
    /// Whether trying again on the same node can help.
    pub const fn restartable(self) -> bool {
        match self {
            Self::Completed | Self::RuntimeRefused => false,
            Self::Stopped
            | Self::Crashed
            | Self::OutOfMemory
            | Self::PrepareFailed
            | Self::NeverReady
            | Self::LeaseEnded
            | Self::DaemonRestarted => true,
        }
    }
}

impl fmt::Display for LeaseAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at epoch {}", self.lease, self.epoch)
    }
}
