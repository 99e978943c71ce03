//! Which request is let through to which replica.

use std::path::PathBuf;
use std::sync::Arc;

use remuda_assignment::State;
use remuda_wire::infer::{Open, Refused, RefusedReason};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio_util::sync::CancellationToken;

use super::{grant, refused};
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

/// Lets a request through, or says why not.
pub(super) fn admit(
    view: &watch::Receiver<Arc<View>>,
    open: &Open,
    expected: &grant::Expected,
    permit: OwnedSemaphorePermit,
) -> Result<Admitted, Refused> {
    let now = Arc::clone(&view.borrow());
    let denied = |denied: grant::Denied| refused(RefusedReason::NotGranted, &denied.to_string());
    let key = now.grant_key.ok_or(grant::Denied::NoKey).map_err(denied)?;
    let grant = grant::verify(&open.grant, &key, expected).map_err(denied)?;
    let seen = now
        .newest(open.lease)
        .ok_or_else(|| busy("the replica is not here"))?;
    if grant.lease_epoch < seen.at.epoch {
        return Err(denied(grant::Denied::Superseded));
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

fn busy(detail: &str) -> Refused {
    refused(RefusedReason::Busy, detail)
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.route
            .streams
            .send_modify(|count| *count = count.saturating_sub(1));
    }
}
