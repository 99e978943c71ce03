//! What will happen, by the millisecond: a ring of moments, so that planning and taking cost the
//! same however much is planned.

use remuda_types::{Span, Time};

/// How far ahead something may be planned, in milliseconds; the moments of the ring.
const HORIZON_MS: usize = 1 << 14;

/// Things to come, in the order of time and, within a moment, of planning.
#[derive(Clone, Debug)]
pub(super) struct Agenda<T> {
    moments: Vec<Vec<T>>,
    now: Time,
}

impl<T> Agenda<T> {
    pub(super) fn starting_at(now: Time) -> Self {
        Self {
            moments: (0..HORIZON_MS).map(|_| Vec::new()).collect(),
            now,
        }
    }

    pub(super) fn now(&self) -> Time {
        self.now
    }

    /// Plans something: not now, and not beyond the horizon.
    pub(super) fn plan(&mut self, after: Span, what: T) {
        let most = Span::from_millis(HORIZON_MS as u64 - 1);
        let after = after.clamp(Span::from_millis(1), most);
        let moment = place(self.now + after);
        self.moments[moment].push(what);
    }

    /// Goes on to the next millisecond and takes what was planned for it. Give the vector back with
    /// [`Agenda::done`].
    pub(super) fn next(&mut self) -> Vec<T> {
        self.now = self.now + Span::from_millis(1);
        std::mem::take(&mut self.moments[place(self.now)])
    }

    /// Keeps the room of a moment that is over.
    pub(super) fn done(&mut self, mut moment: Vec<T>) {
        moment.clear();
        self.moments[place(self.now)] = moment;
    }
}

fn place(at: Time) -> usize {
    usize::try_from(at.as_millis() % HORIZON_MS as u64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_planned_happens_then_and_in_the_order_of_planning() {
        let mut agenda = Agenda::starting_at(Time::from_millis(1_000_000));
        for (after, what) in [(20_000, 'e'), (3, 'b'), (0, 'a'), (3, 'c'), (1_000, 'd')] {
            agenda.plan(Span::from_millis(after), what);
        }
        let mut happened = Vec::new();
        for millis in 1..HORIZON_MS as u64 * 2 {
            let moment = agenda.next();
            assert_eq!(agenda.now(), Time::from_millis(1_000_000 + millis));
            happened.extend(moment.iter().map(|what| (millis, *what)));
            agenda.done(moment);
        }
        let last = HORIZON_MS as u64 - 1;
        assert_eq!(
            happened,
            [(1, 'a'), (3, 'b'), (3, 'c'), (1_000, 'd'), (last, 'e')]
        );
    }
}
