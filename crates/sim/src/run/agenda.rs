//! The virtual clock: what is to happen, in the order of time and, at one time, of planning.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use remuda_types::Time;

/// What is to happen, and what time it is.
#[derive(Debug)]
pub(crate) struct Agenda<T> {
    now: Time,
    planned: u64,
    queue: BinaryHeap<Item<T>>,
}

#[derive(Debug)]
struct Item<T> {
    at: Time,
    number: u64,
    what: T,
}

impl<T> Agenda<T> {
    pub(crate) const fn new(now: Time) -> Self {
        Self {
            now,
            planned: 0,
            queue: BinaryHeap::new(),
        }
    }

    pub(crate) const fn now(&self) -> Time {
        self.now
    }

    /// How much has been planned so far.
    pub(crate) const fn planned(&self) -> u64 {
        self.planned
    }

    /// Plans something; what lies in the past happens at once.
    pub(crate) fn plan(&mut self, at: Time, what: T) {
        self.planned += 1;
        self.queue.push(Item {
            at: at.max(self.now),
            number: self.planned,
            what,
        });
    }

    /// The next thing that happens before `end`; the clock moves to it.
    pub(crate) fn next(&mut self, end: Time) -> Option<T> {
        if self.queue.peek().is_none_or(|item| item.at >= end) {
            self.now = end;
            return None;
        }
        let item = self.queue.pop()?;
        self.now = item.at;
        Some(item.what)
    }
}

/// The earliest is the greatest, for the heap gives its greatest.
impl<T> Ord for Item<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl<T> PartialOrd for Item<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Item<T> {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl<T> Eq for Item<T> {}

#[cfg(test)]
mod tests {
    use remuda_types::Span;

    use super::*;

    #[test]
    fn what_is_planned_happens_in_order_and_never_in_the_past() {
        let start = Time::from_millis(1_000);
        let mut agenda = Agenda::new(start);
        agenda.plan(start + Span::from_millis(5), 'b');
        agenda.plan(start + Span::from_millis(5), 'c');
        agenda.plan(Time::EPOCH, 'a');
        agenda.plan(start + Span::DAY, 'd');
        let end = start + Span::HOUR;
        let happened: String = std::iter::from_fn(|| agenda.next(end)).collect();
        assert_eq!((happened.as_str(), agenda.now()), ("abc", end));
        assert_eq!(agenda.next(start + Span::DAY + Span::DAY), Some('d'));
    }
}
