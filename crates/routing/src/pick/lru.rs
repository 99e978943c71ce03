//! A bounded map that forgets what was not touched for longest.
//!
//! Touching is quick, for a long prompt touches a thousand keys: each touch adds a line to a record
//! of touches, and lines that a later touch of the same key outdated are skipped when something must
//! go. The record is swept when it is twice as long as the map may be, so both are bounded.

use std::collections::VecDeque;
use std::hash::Hash;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

/// When something was touched, among all touches of this map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stamp(u64);

impl Stamp {
    /// That of the touch before.
    pub(super) const fn before(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

/// The map. Its entries are looked up and never listed: their order would be that of their hashes.
#[derive(Clone, Debug)]
pub(super) struct Lru<K, V> {
    most: usize,
    touches: u64,
    held: HashMap<K, (Stamp, V), FixedState>,
    record: VecDeque<(Stamp, K)>,
}

impl<K: Copy + Eq + Hash, V> Lru<K, V> {
    /// Holds nothing yet, and never more than `most`.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            touches: 0,
            held: HashMap::with_hasher(FixedState::default()),
            record: VecDeque::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    pub(super) const fn most(&self) -> usize {
        self.most
    }

    /// Holds never more than `most` from now on.
    pub(super) fn bound(&mut self, most: usize) {
        self.most = most;
        while self.held.len() > self.most {
            self.drop_oldest();
        }
        if self.record.len() > self.most.saturating_mul(2) {
            self.sweep();
        }
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.held.get(key).map(|(_, value)| value)
    }

    /// Holds the value, as touched last of all.
    pub(super) fn put(&mut self, key: K, value: V) -> Stamp {
        self.touches = self.touches.saturating_add(1);
        let stamp = Stamp(self.touches);
        self.held.insert(key, (stamp, value));
        self.record.push_back((stamp, key));
        self.bound(self.most);
        stamp
    }

    /// Forgets what nobody has touched since the stamp. Whether that was so.
    pub(super) fn take_back(&mut self, key: &K, stamp: Stamp) -> bool {
        let untouched = self.is_current(stamp, key);
        if untouched {
            self.held.remove(key);
        }
        untouched
    }

    pub(super) fn clear(&mut self) {
        self.held.clear();
        self.record.clear();
    }

    fn is_current(&self, stamp: Stamp, key: &K) -> bool {
        self.held.get(key).is_some_and(|(last, _)| *last == stamp)
    }

    fn drop_oldest(&mut self) {
        while let Some((stamp, key)) = self.record.pop_front() {
            if self.take_back(&key, stamp) {
                return;
            }
        }
    }

    fn sweep(&mut self) {
        let mut record = std::mem::take(&mut self.record);
        record.retain(|(stamp, key)| self.is_current(*stamp, key));
        self.record = record;
    }

    /// Whether it keeps to its bounds.
    pub(super) fn is_bounded(&self) -> bool {
        self.held.len() <= self.most && self.record.len() <= self.most.saturating_mul(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Put(u8),
        Bound(usize),
        TakeBack(u8),
        Clear,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            20 => (0_u8..12).prop_map(Step::Put),
            4 => (0_u8..12).prop_map(Step::TakeBack),
            1 => Just(Step::Clear),
            1 => (0_usize..9).prop_map(Step::Bound),
        ];
        proptest::collection::vec(step, 0..300)
    }

    /// The same by a list that is searched from end to end: the last touched stands last.
    fn apply(list: &mut Vec<(u8, Stamp)>, lru: &mut Lru<u8, u8>, step: Step) {
        match step {
            Step::Put(key) => {
                list.retain(|(other, _)| *other != key);
                list.push((key, lru.put(key, key)));
                let over = list.len().saturating_sub(lru.most());
                list.drain(..over);
            }
            Step::Bound(most) => {
                lru.bound(most);
                list.drain(..list.len().saturating_sub(most));
            }
            Step::TakeBack(key) => {
                let at = list.iter().position(|(other, _)| *other == key);
                let stamp = at.map_or(Stamp(0), |at| list.remove(at).1);
                assert_eq!(lru.take_back(&key, stamp), at.is_some());
            }
            Step::Clear => {
                list.clear();
                lru.clear();
            }
        }
    }

    proptest! {
        #[test]
        fn it_holds_what_was_touched_last_and_no_more(most in 0_usize..9, steps in steps()) {
            let (mut lru, mut list) = (Lru::new(most), Vec::new());
            for step in steps {
                apply(&mut list, &mut lru, step);
                prop_assert!(lru.is_bounded());
                let held: Vec<u8> = (0..12).filter(|key| lru.get(key).is_some()).collect();
                let mut listed: Vec<u8> = list.iter().map(|(key, _)| *key).collect();
                listed.sort_unstable();
                prop_assert_eq!(held, listed);
                prop_assert_eq!(lru.len(), list.len());
            }
        }
    }
}
