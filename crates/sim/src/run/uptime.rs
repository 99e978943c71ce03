//! How long something was up and down, and what kept it down.

use std::collections::BTreeMap;

use remuda_types::{Span, Time};

use super::cause::Cause;

/// Time that a unit of service was to be up, by what it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// It was up.
    pub up_ms: u64,
    /// It was down, by cause.
    pub down_ms: BTreeMap<Cause, u64>,
}

impl Tally {
    /// It was down, all causes together.
    pub fn all_down_ms(&self) -> u64 {
        self.down_ms.values().sum()
    }

    /// The share of time that it was up; all of it when it was never to be up.
    #[expect(
        clippy::cast_precision_loss,
        reason = "milliseconds of years, far below 2^52"
    )]
    pub fn availability(&self) -> f64 {
        let all = self.up_ms + self.all_down_ms();
        if all == 0 {
            return 1.0;
        }
        self.up_ms as f64 / all as f64
    }

    /// The same in whole parts per million, rounded down: below a step exactly when the share is.
    pub(crate) fn up_ppm(&self) -> u32 {
        let all = u128::from(self.up_ms + self.all_down_ms()).max(1);
        let ppm = u128::from(self.up_ms) * 1_000_000 / all;
        u32::try_from(ppm).unwrap_or(1_000_000)
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.up_ms += other.up_ms;
        for (cause, ms) in &other.down_ms {
            *self.down_ms.entry(*cause).or_default() += ms;
        }
    }

    fn count(&mut self, standing: Standing, span: Span) {
        match standing {
            Standing::Unborn => {}
            Standing::Up => self.up_ms += span.as_millis(),
            Standing::Down(cause) => *self.down_ms.entry(cause).or_default() += span.as_millis(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It was never up yet, or is not to be: there is no promise before it is delivered.
    Unborn,
    Up,
    Down(Cause),
}

/// A unit of service on its way through time.
#[derive(Clone, Debug)]
pub(crate) struct Uptime {
    standing: Standing,
    ever_up: bool,
    since: Time,
    tally: Tally,
}

impl Uptime {
    pub(crate) fn new(now: Time) -> Self {
        Self {
            standing: Standing::Unborn,
            ever_up: false,
            since: now,
            tally: Tally::default(),
        }
    }

    pub(crate) const fn was_ever_up(&self) -> bool {
        self.ever_up
    }

    pub(crate) const fn is_down(&self) -> bool {
        matches!(self.standing, Standing::Down(_))
    }

    pub(crate) fn turn_up(&mut self, now: Time) {
        self.ever_up = true;
        self.turn(Standing::Up, now);
    }

    /// It is down from now on; what it was down for already stays the reason.
    pub(crate) fn turn_down(&mut self, cause: Cause, now: Time) {
        if self.standing == Standing::Up {
            self.turn(Standing::Down(cause), now);
        }
    }

    /// It stays down, from now on for this reason.
    pub(crate) fn blame(&mut self, cause: Cause, now: Time) {
        if self.is_down() {
            self.turn(Standing::Down(cause), now);
        }
    }

    /// It is not to be up any more.
    pub(crate) fn retire(&mut self, now: Time) {
        self.turn(Standing::Unborn, now);
    }

    fn turn(&mut self, standing: Standing, now: Time) {
        self.tally.count(self.standing, now.since(self.since));
        (self.standing, self.since) = (standing, now);
    }

    /// What came together since the last time this was asked.
    pub(crate) fn take(&mut self, now: Time) -> Tally {
        self.turn(self.standing, now);
        std::mem::take(&mut self.tally)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_cause_counts_until_another_is_blamed() {
        let at = |secs| Time::EPOCH + Span::from_secs(secs);
        let mut uptime = Uptime::new(at(0));
        uptime.turn_down(Cause::Other, at(5));
        assert!(!uptime.was_ever_up(), "what was never up cannot go down");
        uptime.turn_up(at(10));
        uptime.turn_down(Cause::Node, at(20));
        uptime.turn_down(Cause::Site, at(23));
        uptime.blame(Cause::Capacity, at(25));
        uptime.turn_up(at(30));
        let tally = uptime.take(at(110));
        assert_eq!(tally.up_ms, 90_000);
        assert_eq!(
            tally.down_ms,
            BTreeMap::from([(Cause::Node, 5_000), (Cause::Capacity, 5_000)])
        );
        assert!((tally.availability() - 0.9).abs() < 1e-12);
        assert_eq!(uptime.take(at(110)), Tally::default());
        uptime.retire(at(120));
        assert!(uptime.was_ever_up(), "what is not wanted any more was");
    }
}
