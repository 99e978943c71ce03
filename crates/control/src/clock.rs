//! Control's clock: the only place here that reads the system's.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use remuda_types::{CommandId, Entropy, Time};

/// A clock that never runs backward, whatever the system's does.
#[derive(Debug, Default)]
pub struct Clock {
    newest_ms: AtomicU64,
}

impl Clock {
    /// Now.
    pub fn now(&self) -> Time {
        let system = system_millis();
        let newest = self
            .newest_ms
            .fetch_max(system, Ordering::Relaxed)
            .max(system);
        Time::from_millis(newest)
    }

    /// An id for a command of control's own.
    pub fn command_id(&self) -> CommandId {
        CommandId::new(self.now(), entropy())
    }
}

fn system_millis() -> u64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
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
