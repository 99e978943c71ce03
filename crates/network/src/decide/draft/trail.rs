//! Maps that a batch fills and can bring back to how they were: what is looked up is in the map, and
//! what it was before is in a list beside it, so that going back costs what was done since.

use std::collections::BTreeMap;
use std::ops::RangeBounds;

/// Such a map. Nothing is listed before somebody means to come back.
#[derive(Clone, Debug)]
pub(super) struct Trail<K, V> {
    now: BTreeMap<K, V>,
    before: Option<Vec<(K, Option<V>)>>,
}

impl<K, V> Default for Trail<K, V> {
    fn default() -> Self {
        Self {
            now: BTreeMap::new(),
            before: None,
        }
    }
}

impl<K: Copy + Ord, V: Copy> Trail<K, V> {
    pub(super) fn get(&self, key: &K) -> Option<V> {
        self.now.get(key).copied()
    }

    pub(super) fn contains(&self, key: &K) -> bool {
        self.now.contains_key(key)
    }

    /// Sets a value; says what it was.
    pub(super) fn set(&mut self, key: K, value: V) -> Option<V> {
        let old = self.now.insert(key, value);
        if let Some(before) = &mut self.before {
            before.push((key, old));
        }
        old
    }

    pub(super) fn range(&self, keys: impl RangeBounds<K>) -> impl Iterator<Item = (&K, &V)> {
        self.now.range(keys)
    }

    /// All keys, in order; it is empty then, and remembers nothing.
    pub(super) fn take(&mut self) -> impl Iterator<Item = K> + use<K, V> {
        std::mem::take(self).now.into_keys()
    }

    /// Where it stands, to come back to.
    pub(super) fn mark(&mut self) -> usize {
        self.before.get_or_insert_default().len()
    }

    /// Takes back all that was set since.
    pub(super) fn back_to(&mut self, mark: usize) {
        let Some(before) = &mut self.before else {
            return;
        };
        for (key, old) in before.drain(mark.min(before.len())..).rev() {
            match old {
                Some(old) => self.now.insert(key, old),
                None => self.now.remove(&key),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_comes_back_to_what_it_was(
            first in proptest::collection::vec((0_u8..20, 0_u8..9), 0..40),
            then in proptest::collection::vec((0_u8..20, 0_u8..9), 0..40),
            last in proptest::collection::vec((0_u8..20, 0_u8..9), 0..40),
        ) {
            let mut trail = Trail::default();
            let fill = |trail: &mut Trail<u8, u8>, steps: &[(u8, u8)]| {
                for (key, value) in steps {
                    trail.set(*key, *value);
                }
            };
            fill(&mut trail, &first);
            let (outer, at_first) = (trail.mark(), trail.now.clone());
            fill(&mut trail, &then);
            let (inner, at_then) = (trail.mark(), trail.now.clone());
            fill(&mut trail, &last);
            trail.back_to(inner);
            prop_assert_eq!(&trail.now, &at_then);
            trail.back_to(outer);
            prop_assert_eq!(&trail.now, &at_first);
        }
    }
}
