//! Control's clock: the only place here that reads the system's.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use remuda_types::{CommandId, Entropy, Time};

mod steering;

use steering::{Notice, Reading, Steering};

/// A clock that never runs backward and never jumps, whatever the system's does.
#[derive(Debug)]
pub struct Clock {
    begun: Instant,
    steering: Mutex<Steering>,
}

impl Clock {
    /// A clock that goes on from `recovered`, the newest time in the journal: a wall clock that is
    /// behind it is waited for, not followed back.
    pub fn starting_at(recovered: Time) -> Self {
        let begun = Instant::now();
        let recovered = Duration::from_millis(recovered.as_millis());
        let steering = Steering::new(recovered, read(begun));
        Self {
            begun,
            steering: Mutex::new(steering),
        }
    }

    /// Now.
    pub fn now(&self) -> Time {
        let reading = read(self.begun);
        let mut steering = self.steering.lock().unwrap_or_else(PoisonError::into_inner);
        let (time, notice) = steering.advance(reading);
        drop(steering);
        notice.into_iter().for_each(tell);
        Time::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    }

    /// An id for a command of control's own.
    pub fn command_id(&self) -> CommandId {
        CommandId::new(self.now(), entropy())
    }
}

fn read(begun: Instant) -> Reading {
    Reading {
        monotonic: begun.elapsed(),
        wall: SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default(),
    }
}

fn tell(notice: Notice) {
    match notice {
        Notice::Ahead(by) => tracing::warn!(
            ahead_s = by.as_secs(),
            "the system's clock has jumped ahead: control's time follows it in small steps"
        ),
        Notice::Behind(by) => tracing::warn!(
            behind_s = by.as_secs(),
            "the system's clock is behind control's time, which goes on more slowly until it is caught up"
        ),
        Notice::Agrees => tracing::info!("the system's clock and control's time agree again"),
    }
}

/// Ten bytes from the system's generator.
///
/// # Panics
/// When the system has no entropy to give, without which no key or id may be made.
#[expect(
    clippy::expect_used,
    reason = "a system without entropy can run nothing here"
)]
pub fn entropy() -> Entropy {
    let mut bytes = [0; 10];
    getrandom::fill(&mut bytes).expect("the system's random generator answers");
    Entropy(bytes)
}

/// A fresh 256-bit secret.
///
/// # Panics
/// As [`entropy`].
#[expect(
    clippy::expect_used,
    reason = "a system without entropy can run nothing here"
)]
pub fn secret() -> [u8; 32] {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the system's random generator answers");
    bytes
}
