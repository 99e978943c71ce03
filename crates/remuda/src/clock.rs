//! The system's clock and entropy, for ids that a client chooses.

use std::time::SystemTime;

use remuda_types::{CommandId, Entropy, Time};

/// Now.
pub(crate) fn now() -> Time {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Time::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// An id for a command of this client.
///
/// # Panics
/// When the system has no entropy to give, without which no id may be made.
#[expect(
    clippy::expect_used,
    reason = "a system without entropy can run nothing here"
)]
pub(crate) fn command_id() -> CommandId {
    let mut bytes = [0; 10];
    getrandom::fill(&mut bytes).expect("the system's random generator answers");
    CommandId::new(now(), Entropy(bytes))
}
