//! Who may stay connected: gateways that have shown a grant, and few strangers for a short time.
//!
//! Anyone can connect, so what has shown no grant must not take the room of what has. Strangers have
//! little room of their own; when it is full the oldest leaves, because a gateway shows its grant
//! within two round trips and whoever stays longer is likelier none.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SetOnce};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// Connections with a grant; on the next no request is let through.
const GUESTS_MAX: usize = 1_024;

/// Connections without a grant, those that still shake hands and probes among them.
const STRANGERS_MAX: usize = 64;

/// How long a connection may take from its first packet to a good grant, and a prober stay.
const STRANGER_WITHIN: Duration = Duration::from_secs(5);

/// The room for connections. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Lobby {
    strangers: Arc<Mutex<Strangers>>,
    guests: Arc<Semaphore>,
}

/// By arrival, with the word to leave.
#[derive(Debug, Default)]
struct Strangers {
    arrived: u64,
    here: BTreeMap<u64, CancellationToken>,
}

/// One connection's stay: a stranger's until [`Visitor::welcome`].
#[derive(Debug)]
pub(super) struct Visitor {
    lobby: Lobby,
    number: u64,
    until: Instant,
    displaced: CancellationToken,
    pass: SetOnce<OwnedSemaphorePermit>,
}

impl Lobby {
    pub(super) fn new() -> Self {
        Self {
            strangers: Arc::default(),
            guests: Arc::new(Semaphore::new(GUESTS_MAX)),
        }
    }

    /// Takes a stranger in; the oldest leaves when there is no room.
    pub(super) fn enter(&self) -> Visitor {
        let displaced = CancellationToken::new();
        let mut strangers = self.strangers();
        if strangers.here.len() >= STRANGERS_MAX
            && let Some((_, oldest)) = strangers.here.pop_first()
        {
            oldest.cancel();
        }
        strangers.arrived += 1;
        let number = strangers.arrived;
        strangers.here.insert(number, displaced.clone());
        Visitor {
            lobby: self.clone(),
            number,
            until: Instant::now() + STRANGER_WITHIN,
            displaced,
            pass: SetOnce::new(),
        }
    }

    fn strangers(&self) -> MutexGuard<'_, Strangers> {
        self.strangers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Visitor {
    /// A good grant was shown: the connection stays for as long as its peer likes. False when there
    /// is no room for another.
    pub(super) fn welcome(&self) -> bool {
        if self.pass.initialized() {
            return true;
        }
        let Ok(pass) = Arc::clone(&self.lobby.guests).try_acquire_owned() else {
            return false;
        };
        self.lobby.strangers().here.remove(&self.number);
        // Another request of the same connection may have been first; one pass is enough.
        drop(self.pass.set(pass));
        true
    }

    /// Waits until the stranger has to leave; for ever once it is none.
    pub(super) async fn must_leave(&self) {
        tokio::select! {
            biased;
            _ = self.pass.wait() => pending().await,
            () = self.displaced.cancelled() => {}
            () = sleep_until(self.until) => {}
        }
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        self.lobby.strangers().here.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn strangers_make_way_for_strangers_and_guests_for_nobody() {
        let lobby = Lobby::new();
        let enter = |count| (0..count).map(|_| lobby.enter()).collect::<Vec<_>>();
        let guest = lobby.enter();
        assert!(guest.welcome() && guest.welcome());
        let strangers = enter(STRANGERS_MAX);
        let leaves = |visitor: &Visitor| visitor.must_leave().now_or_never().is_some();
        assert!(!strangers.iter().any(leaves), "there is room for all");
        let more = enter(2);
        assert!(strangers[..2].iter().all(leaves), "the oldest leave");
        assert!(!strangers[2..].iter().chain(&more).any(leaves));
        drop(strangers);
        let later = enter(STRANGERS_MAX - more.len());
        assert!(!later.iter().chain(&more).chain([&guest]).any(leaves));
    }

    #[tokio::test]
    async fn guests_are_counted_once_and_for_as_long_as_they_stay() {
        let lobby = Lobby::new();
        let mut guests: Vec<_> = (0..GUESTS_MAX).map(|_| lobby.enter()).collect();
        assert!(guests.iter().all(Visitor::welcome));
        let next = lobby.enter();
        assert!(!next.welcome());
        guests.pop();
        assert!(next.welcome());
    }
}
