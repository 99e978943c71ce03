//! What happened, for those who look now and then: append-only, the oldest forgotten.
//!
//! A cache that follows a log notes how far it has read; one that has fallen behind what is kept
//! is built anew instead. So the work of following is bounded by that of building.

use std::collections::VecDeque;

/// How far a reader has read.
pub(crate) type Position = u64;

/// The last entries of an append-only log.
#[derive(Clone, Debug)]
pub(crate) struct Log<T> {
    entries: VecDeque<T>,
    /// The position of the first entry that is kept.
    first: Position,
}

impl<T> Default for Log<T> {
    fn default() -> Self {
        Self {
            entries: VecDeque::new(),
            first: 0,
        }
    }
}

impl<T: Copy> Log<T> {
    /// Appends, and keeps no more than `keep` entries.
    pub(crate) fn push(&mut self, entry: T, keep: usize) {
        self.entries.push_back(entry);
        while self.entries.len() > keep {
            self.entries.pop_front();
            self.first += 1;
        }
    }

    #[cfg(test)]
    pub(crate) fn forget(&mut self) {
        self.first = self.end();
        self.entries.clear();
    }

    /// The position after the last entry.
    pub(crate) fn end(&self) -> Position {
        self.first + self.entries.len() as u64
    }

    /// What was appended from `position` on; `None` when some of it is forgotten.
    pub(crate) fn since(&self, position: Position) -> Option<impl Iterator<Item = T> + '_> {
        let skip = usize::try_from(position.checked_sub(self.first)?).ok()?;
        let news = self.entries.range(skip.min(self.entries.len())..);
        Some(news.copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_gets_what_is_new_or_learns_that_it_is_late() {
        let mut log = Log::default();
        for entry in 0..5 {
            log.push(entry, 3);
        }
        let since = |position| log.since(position).map(Iterator::collect::<Vec<_>>);
        assert_eq!(log.end(), 5);
        assert_eq!(since(2), Some(vec![2, 3, 4]));
        assert_eq!(since(5), Some(vec![]));
        assert_eq!(since(1), None);
    }
}
