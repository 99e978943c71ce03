//! When the whole daemon stood still: it was frozen, or its machine slept.
//!
//! A control that is there hears the silence. One that is away cannot, and takes the node's word for
//! what was served meanwhile: so the node keeps its pauses, and tells them when a session begins.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use remuda_wire::node as wire;
use tokio::time::sleep;

/// Between two looks at the clock.
const BEAT: Duration = Duration::from_millis(250);

/// Who looks again so late did not look in between.
const PAUSE: Duration = Duration::from_secs(1);

/// Pauses that are kept; of more, the newest.
const KEPT: usize = 64;

/// The pauses of this daemon.
#[derive(Debug)]
pub(crate) struct Pauses {
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    looked: Duration,
    /// From when to when.
    pauses: VecDeque<(Duration, Duration)>,
}

impl Pauses {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self {
            seen: Mutex::new(Seen::at(boot_time())),
        }
    }

    /// Looks at the clock for ever: what else runs here stands still when this does.
    pub(crate) async fn watch(self: Arc<Self>) {
        loop {
            sleep(BEAT).await;
            if let Some(lasted) = self.seen().look(boot_time()) {
                tracing::warn!(lasted_ms = lasted.as_millis(), "this node stood still");
            }
        }
    }

    /// The pauses up to now, one that has just ended included.
    pub(crate) fn report(&self) -> Vec<wire::Pause> {
        let (now, mut seen) = (boot_time(), self.seen());
        seen.look(now);
        seen.report(now)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn at(now: Duration) -> Self {
        Self {
            looked: now,
            pauses: VecDeque::new(),
        }
    }

    /// Notes a pause if one has just ended: for how long it lasted.
    fn look(&mut self, now: Duration) -> Option<Duration> {
        let from = self.looked;
        self.looked = from.max(now);
        let lasted = now.checked_sub(from).filter(|lasted| *lasted >= PAUSE)?;
        self.pauses.push_back((from, now));
        if self.pauses.len() > KEPT {
            self.pauses.pop_front();
        }
        Some(lasted)
    }

    fn report(&self, now: Duration) -> Vec<wire::Pause> {
        let pause = |(from, to): &(Duration, Duration)| wire::Pause {
            lasted_ms: millis(to.saturating_sub(*from)),
            ended_ms_ago: millis(now.saturating_sub(*to)),
        };
        self.pauses.iter().map(pause).collect()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Time since the machine was started, that which it slept included.
///
/// # Panics
/// On a kernel older than Linux 2.6.39, which has no such clock.
#[expect(
    clippy::expect_used,
    reason = "every kernel that runs this has the clock"
)]
fn boot_time() -> Duration {
    clock_gettime(ClockId::CLOCK_BOOTTIME)
        .expect("the kernel has a clock that counts sleep")
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_late_look_is_a_pause_and_one_in_time_is_none() {
        let mut seen = Seen::at(ms(0));
        assert_eq!(seen.look(ms(250)), None);
        assert_eq!(seen.look(ms(3_250)), Some(ms(3_000)));
        assert_eq!(seen.look(ms(3_500)), None);
        let told = seen.report(ms(10_250));
        let pause = wire::Pause {
            lasted_ms: 3_000,
            ended_ms_ago: 7_000,
        };
        assert_eq!(told, [pause]);
    }

    #[test]
    fn the_newest_are_kept() {
        let mut seen = Seen::at(ms(0));
        for second in 1..200 {
            seen.look(ms(2_000 * second));
        }
        let told = seen.report(ms(400_000));
        assert_eq!(told.len(), KEPT);
        assert_eq!(told.last().map(|pause| pause.ended_ms_ago), Some(2_000));
    }
}
