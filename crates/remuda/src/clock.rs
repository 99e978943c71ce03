//! The system's clock and entropy, for ids that a client chooses.

use std::time::{Duration, SystemTime};

use remuda_types::{CommandId, Entropy, Span, Time};

/// Now.
pub(crate) fn now() -> Time {
    at(SystemTime::now())
}

/// An instant of the system's; the epoch for what lies before it.
pub(crate) fn at(instant: SystemTime) -> Time {
    let since = instant.duration_since(SystemTime::UNIX_EPOCH);
    Time::EPOCH + span(since.unwrap_or_default())
}

/// A length of time; the longest there is for what is longer.
pub(crate) fn span(length: Duration) -> Span {
    Span::from_millis(u64::try_from(length.as_millis()).unwrap_or(u64::MAX))
}

/// A length of time that somebody gives as a flag: there is no use in none.
pub(crate) fn length(text: &str) -> Result<Duration, String> {
    let length = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    match span(length) {
        Span::ZERO => Err("longer than 0 is expected, as in `12h`".to_owned()),
        _ => Ok(length),
    }
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
