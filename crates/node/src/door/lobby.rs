//! Who may stay connected: gateways that have shown a grant, and few strangers for a short time.
//!
//! Anyone can connect, so what has shown no grant must not take the room of what has. Strangers have
//! little room of their own; when it is full the oldest leaves, because a gateway shows its grant
//! within two round trips and whoever stays longer is likelier none. No one gateway takes the room of
//! the others, either.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use remuda_types::GatewayKey;
use tokio::sync::SetOnce;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// Connections with a grant; on the next no request is let through.
const GUESTS_MAX: usize = 1_024;

/// Of them, those of one gateway, which needs one and for a moment a second.
const GUESTS_OF_GATEWAY_MAX: usize = 8;

/// Connections without a grant, those that still shake hands and probes among them.
const STRANGERS_MAX: usize = 256;

/// From so many on, peers prove that they are where they say before they are taken in.
const CROWDED: usize = STRANGERS_MAX / 2;

/// How long a connection may take from its first packet to a good grant, and a prober stay.
const STRANGER_WITHIN: Duration = Duration::from_secs(5);

/// The room for connections. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Lobby {
    rooms: Arc<Mutex<Rooms>>,
}

#[derive(Debug, Default)]
struct Rooms {
    arrived: u64,
    /// By arrival, with the word to leave.
    strangers: BTreeMap<u64, CancellationToken>,
    /// How many connections each has.
    guests: BTreeMap<GatewayKey, usize>,
}

/// One connection's stay: a stranger's until [`Visitor::welcome`].
#[derive(Debug)]
pub(super) struct Visitor {
    lobby: Lobby,
    number: u64,
    until: Instant,
    displaced: CancellationToken,
    pass: SetOnce<GatewayKey>,
}

impl Lobby {
    /// Whether strangers are so many that an address that nobody proved is not taken in.
    pub(super) fn is_crowded(&self) -> bool {
        self.rooms().strangers.len() >= CROWDED
    }

    /// Takes a stranger in; the oldest leaves when there is no room.
    pub(super) fn enter(&self) -> Visitor {
        let displaced = CancellationToken::new();
        let mut rooms = self.rooms();
        if rooms.strangers.len() >= STRANGERS_MAX
            && let Some((_, oldest)) = rooms.strangers.pop_first()
        {
            oldest.cancel();
        }
        rooms.arrived += 1;
        let number = rooms.arrived;
        rooms.strangers.insert(number, displaced.clone());
        Visitor {
            lobby: self.clone(),
            number,
            until: Instant::now() + STRANGER_WITHIN,
            displaced,
            pass: SetOnce::new(),
        }
    }

    fn rooms(&self) -> MutexGuard<'_, Rooms> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rooms {
    /// Counts one more connection of a gateway, if there is room for it.
    fn seat(&mut self, gateway: GatewayKey) -> bool {
        let all: usize = self.guests.values().sum();
        let of_gateway = self.guests.get(&gateway).copied().unwrap_or_default();
        let fits = all < GUESTS_MAX && of_gateway < GUESTS_OF_GATEWAY_MAX;
        if fits {
            self.guests.insert(gateway, of_gateway + 1);
        }
        fits
    }

    fn unseat(&mut self, gateway: GatewayKey) {
        let left = self.guests.remove(&gateway).unwrap_or_default();
        if left > 1 {
            self.guests.insert(gateway, left - 1);
        }
    }
}

impl Visitor {
    /// A good grant of `gateway` was shown: its connection stays for as long as it likes. False when
    /// there is no room for another.
    pub(super) fn welcome(&self, gateway: GatewayKey) -> bool {
        // Held to the end: two requests of one connection take one seat.
        let mut rooms = self.lobby.rooms();
        if self.pass.initialized() {
            return true;
        }
        let seated = rooms.seat(gateway);
        if seated {
            rooms.strangers.remove(&self.number);
            // It was empty a moment ago, under the same lock.
            drop(self.pass.set(gateway));
        }
        seated
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
        let mut rooms = self.lobby.rooms();
        match self.pass.get() {
            Some(gateway) => rooms.unseat(*gateway),
            None => drop(rooms.strangers.remove(&self.number)),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn gateway(n: usize) -> GatewayKey {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&n.to_be_bytes());
        GatewayKey(key)
    }

    #[tokio::test]
    async fn strangers_make_way_for_strangers_and_guests_for_nobody() {
        let lobby = Lobby::default();
        let enter = |count| (0..count).map(|_| lobby.enter()).collect::<Vec<_>>();
        let guest = lobby.enter();
        assert!(guest.welcome(gateway(0)) && guest.welcome(gateway(0)));
        let strangers = enter(STRANGERS_MAX);
        assert!(lobby.is_crowded());
        let leaves = |visitor: &Visitor| visitor.must_leave().now_or_never().is_some();
        assert!(!strangers.iter().any(leaves), "there is room for all");
        let more = enter(2);
        assert!(strangers[..2].iter().all(leaves), "the oldest leave");
        assert!(!strangers[2..].iter().chain(&more).any(leaves));
        drop(strangers);
        assert!(!lobby.is_crowded());
        let later = enter(STRANGERS_MAX - more.len());
        assert!(!later.iter().chain(&more).chain([&guest]).any(leaves));
    }

    #[tokio::test]
    async fn guests_are_counted_once_and_for_as_long_as_they_stay() {
        let lobby = Lobby::default();
        let mut guests: Vec<_> = (0..GUESTS_MAX).map(|_| lobby.enter()).collect();
        let all = guests.iter().enumerate();
        assert!(all.clone().all(|(n, guest)| guest.welcome(gateway(n))));
        let next = lobby.enter();
        assert!(!next.welcome(gateway(GUESTS_MAX)));
        guests.pop();
        assert!(next.welcome(gateway(GUESTS_MAX)));
    }

    #[tokio::test]
    async fn one_gateway_does_not_take_the_room_of_all() {
        let lobby = Lobby::default();
        let mut greedy: Vec<_> = (0..GUESTS_OF_GATEWAY_MAX).map(|_| lobby.enter()).collect();
        assert!(greedy.iter().all(|guest| guest.welcome(gateway(1))));
        let next = lobby.enter();
        assert!(!next.welcome(gateway(1)));
        greedy.pop();
        assert!(next.welcome(gateway(1)));
    }
}
