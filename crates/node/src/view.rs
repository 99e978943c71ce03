//! What the reconciler publishes: all that sessions, the door and metrics know of this node.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use remuda_assignment::{LeaseAt, Stamp, State};
use remuda_types::{LeaseId, Span, Time};
use remuda_wire::node as wire;
use remuda_wire::node::ExitReason;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::exit::without_process;
use crate::translate;

/// One immutable picture of the node.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    /// The newest assignment it holds.
    pub stamp: Option<Stamp>,
    /// Control's key for route grants, once control was heard.
    pub grant_key: Option<[u8; 32]>,
    /// Every replica, by lease and epoch.
    pub replicas: Vec<Seen>,
}

/// One replica.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Which.
    pub at: LeaseAt,
    /// How far it is.
    pub state: State,
    /// Since when.
    pub since: Time,
    /// How long it may take to stop.
    pub stop_grace: Span,
    /// How it ended the last time it did, though it may run again by now.
    pub last_end: Option<End>,
    /// How much of what it needs is here.
    pub progress: Arc<Progress>,
    /// How requests reach it.
    pub route: Arc<Route>,
}

/// One end of a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct End {
    /// When.
    pub at: Time,
    /// How.
    pub exit: wire::Exit,
}

/// Bytes fetched, of bytes in all.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    done: AtomicU64,
    total: AtomicU64,
}

/// How requests reach a replica.
pub(crate) struct Route {
    /// The engine's socket; none for what serves no frames.
    pub socket: Option<PathBuf>,
    /// Requests in flight.
    pub streams: watch::Sender<usize>,
    closed: AtomicBool,
    /// Cancelled when the replica is fenced off or has ended: what is in flight is broken off.
    pub cut: CancellationToken,
}

impl View {
    /// The replica of a lease at its newest epoch here.
    pub(crate) fn newest(&self, lease: LeaseId) -> Option<&Seen> {
        self.replicas
            .iter()
            .filter(|seen| seen.at.lease == lease)
            .max_by_key(|seen| seen.at.epoch)
    }

    /// Whether nothing is left that runs or will.
    pub(crate) fn is_idle(&self) -> bool {
        self.replicas.iter().all(|seen| seen.state.has_ended())
    }

    /// Whether a reader of `other` knows all that is here.
    pub(crate) fn says_the_same(&self, other: &Self) -> bool {
        (self.stamp, self.grant_key) == (other.stamp, other.grant_key)
            && self.replicas.len() == other.replicas.len()
            && self
                .replicas
                .iter()
                .zip(&other.replicas)
                .all(|(mine, theirs)| mine.is_as(theirs))
    }

    /// The replicas as they are reported.
    pub(crate) fn report(&self) -> Vec<wire::Observed> {
        self.replicas.iter().map(Seen::report).collect()
    }
}

impl Seen {
    /// The replica as it is reported.
    pub(crate) fn report(&self) -> wire::Observed {
        self.reported(self.observed(), self.since)
    }

    /// Its last end as it is reported.
    pub(crate) fn report_of(&self, end: &End) -> wire::Observed {
        self.reported(wire::ObservedState::Ended(end.exit.clone()), end.at)
    }

    fn reported(&self, state: wire::ObservedState, since: Time) -> wire::Observed {
        wire::Observed {
            lease: self.at.lease,
            lease_epoch: self.at.epoch,
            state,
            since,
        }
    }

    fn is_as(&self, other: &Self) -> bool {
        (self.at, self.state, self.since) == (other.at, other.state, other.since)
            && self.last_end == other.last_end
            && Arc::ptr_eq(&self.route, &other.route)
    }

    fn observed(&self) -> wire::ObservedState {
        match self.state {
            State::Preparing => wire::ObservedState::Preparing(self.progress.read()),
            State::Prepared => wire::ObservedState::Preparing(self.progress.complete()),
            State::Starting => wire::ObservedState::Starting,
            State::Ready => wire::ObservedState::Ready,
            State::Unhealthy => wire::ObservedState::Unhealthy,
            // Control's own word for a replica that stops is draining: it takes nothing new.
            State::Draining | State::Stopping => wire::ObservedState::Draining,
            State::Ended(_) => wire::ObservedState::Ended(self.last_end.as_ref().map_or_else(
                || without_process(ExitReason::Stopped, ""),
                |end| end.exit.clone(),
            )),
        }
    }
}

impl Progress {
    /// Says how much there is to fetch, and how much of it is here.
    pub(crate) fn set(&self, done: u64, total: u64) {
        self.total.store(total, Ordering::Relaxed);
        self.done.store(done, Ordering::Relaxed);
    }

    /// Says that `bytes` more are here.
    pub(crate) fn add(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }

    fn read(&self) -> wire::Progress {
        wire::Progress {
            done_bytes: self.done.load(Ordering::Relaxed),
            total_bytes: self.total.load(Ordering::Relaxed),
        }
    }

    fn complete(&self) -> wire::Progress {
        let total_bytes = self.total.load(Ordering::Relaxed);
        wire::Progress {
            done_bytes: total_bytes,
            total_bytes,
        }
    }
}

impl Route {
    /// A route to `socket`, without requests.
    pub(crate) fn to(socket: Option<PathBuf>) -> Self {
        Self {
            socket,
            streams: watch::Sender::new(0),
            closed: AtomicBool::new(false),
            cut: CancellationToken::new(),
        }
    }

    /// Lets no new request through. The replica's task is told afterwards: so a request that was
    /// counted too late for it finds the route closed.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    /// Lets requests through again.
    pub(crate) fn reopen(&self) {
        self.closed.store(false, Ordering::SeqCst);
    }

    /// Whether new requests are let through.
    pub(crate) fn is_open(&self) -> bool {
        !self.closed.load(Ordering::SeqCst)
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route")
            .field("socket", &self.socket)
            .finish_non_exhaustive()
    }
}

/// The newest assignment, as it is told to control.
pub(crate) fn holds(view: &View) -> wire::AssignmentStamp {
    translate::holds(view.stamp)
}
