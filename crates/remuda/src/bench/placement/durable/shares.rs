//! Whose the time was: placements', departures', and requests' that had no place.
//!
//! What a command takes is told by the clock on the wall, of which other processes take a part from
//! all alike; the CPU's time between two appends is shared out in that proportion. The CPU's time of
//! appends is shared out by the bytes that the commands put into the journal.

use std::time::{Duration, Instant};

use crate::bench::usage;

/// What one kind of command took, decided and committed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Share {
    wall: Duration,
    bytes: usize,
}

impl Share {
    /// Adds a command that began then and put so much into the journal.
    pub(super) fn add(&mut self, begun: Instant, bytes: usize) {
        self.wall += begun.elapsed();
        self.bytes += bytes;
    }
}

/// What all of them took.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shares {
    pub(super) placed: Share,
    pub(super) refused: Share,
    pub(super) stopped: Share,
    /// The CPU's time of appends.
    appending: Duration,
}

impl Shares {
    /// Runs an append, and counts the CPU's time for it.
    pub(super) fn append<T>(&mut self, append: impl FnOnce() -> T) -> anyhow::Result<T> {
        let begun = usage::cpu()?;
        let done = append();
        self.appending += usage::cpu()?.saturating_sub(begun);
        Ok(done)
    }

    /// What of all the CPU's time placements alone took.
    pub(super) fn of_placements(&self, cpu: Duration) -> Duration {
        let deciding = cpu.saturating_sub(self.appending);
        let wall = self.placed.wall + self.refused.wall + self.stopped.wall;
        let of_wall = part(self.placed.wall.as_nanos(), wall.as_nanos());
        let bytes = self.placed.bytes + self.stopped.bytes;
        let of_bytes = part(self.placed.bytes as u128, bytes as u128);
        deciding.mul_f64(of_wall) + self.appending.mul_f64(of_bytes)
    }
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn part(part: u128, whole: u128) -> f64 {
    part as f64 / whole.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpus_time_is_shared_by_the_walls_and_that_of_appends_by_bytes() {
        let share = |secs, bytes| Share {
            wall: Duration::from_secs(secs),
            bytes,
        };
        let shares = Shares {
            placed: share(2, 30),
            refused: share(1, 0),
            stopped: share(1, 10),
            appending: Duration::from_secs(4),
        };
        // Half of the eight that were not appends, and three quarters of the four that were.
        let of_placements = shares.of_placements(Duration::from_secs(12));
        assert_eq!(of_placements, Duration::from_secs(7));
    }
}
