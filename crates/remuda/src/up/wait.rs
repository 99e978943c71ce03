//! Waiting for something to come about, with a limit and an error that says what did not.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::error::Failure;
use crate::exit::Exit;

/// Between two looks: ten a second are what control lets a key ask for without end.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Looks until there is something, at most for `within`.
pub(crate) async fn until<T, F, E>(
    what: &str,
    within: Duration,
    mut look: impl FnMut() -> F,
) -> anyhow::Result<T>
where
    F: Future<Output = Result<Option<T>, E>>,
    anyhow::Error: From<E>,
{
    let deadline = Instant::now() + within;
    loop {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            return Err(late(what, within).into());
        }
        sleep(LOOK_EVERY).await;
    }
}

fn late(what: &str, within: Duration) -> Failure {
    let message = format!("{what} did not come about within {} s", within.as_secs());
    Failure::new(
        Exit::TimedOut,
        message,
        "look into the logs, then try again",
    )
}
