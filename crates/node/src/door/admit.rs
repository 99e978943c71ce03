//! Which request is let through to which replica.

use std::path::PathBuf;
use std::sync::Arc;

use remuda_assignment::State;
use remuda_wire::grant::Grant;
use remuda_wire::infer::{Refused, RefusedReason};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio_util::sync::CancellationToken;

use super::grant::Denied;
use super::{busy, refused};
use crate::view::{Route, Seen, View};

/// A request that may pass. While it lives, its replica does not count as drained.
#[derive(Debug)]
pub(super) struct Admitted {
    /// Where its replica's engine listens.
    pub(super) socket: PathBuf,
    /// Cancelled when the replica is fenced off.
    pub(super) cut: CancellationToken,
    route: Arc<Route>,
    _permit: OwnedSemaphorePermit,
}

/// Lets a request with a good grant through, or says why not.
pub(super) fn admit(
    view: &watch::Receiver<Arc<View>>,
    grant: &Grant,
    permit: OwnedSemaphorePermit,
) -> Result<Admitted, Refused> {
    let now = Arc::clone(&view.borrow());
    let seen = now
        .newest(grant.lease)
        .ok_or_else(|| busy("the replica is not here"))?;
    if grant.lease_epoch < seen.at.epoch {
        return Err(Denied::Superseded.refused());
    }
    if grant.lease_epoch > seen.at.epoch {
        return Err(busy("the lease's newer epoch is not here yet"));
    }
    let route = Arc::clone(&seen.route);
    route.streams.send_modify(|count| *count += 1);
    let socket = route.socket.clone().unwrap_or_default();
    let cut = route.cut.clone();
    let admitted = Admitted {
        socket,
        cut,
        route,
        _permit: permit,
    };
    // It is counted before this look: whoever closes the route sees the count or is seen.
    takes_requests(seen).map(|()| admitted)
}

fn takes_requests(seen: &Seen) -> Result<(), Refused> {
    match seen.state {
        State::Ready if !seen.route.is_open() => Err(busy("the replica drains")),
        State::Ready if seen.route.socket.is_none() => {
            Err(refused(RefusedReason::Invalid, "the replica is no model"))
        }
        State::Ready => Ok(()),
        State::Preparing | State::Prepared | State::Starting => {
            Err(busy("the replica is not ready"))
        }
        State::Unhealthy => Err(busy("the replica is not healthy")),
        State::Draining | State::Stopping => Err(busy("the replica drains")),
        State::Ended(_) => Err(busy("the replica has ended")),
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.route
            .streams
            .send_modify(|count| *count = count.saturating_sub(1));
    }
}
