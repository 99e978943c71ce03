//! What a list of entries touches: mostly so little that looking through it is the fastest way to find
//! something, and sometimes thousands.

use std::collections::BTreeMap;

use smallvec::SmallVec;

/// So much is looked through.
const FEW: usize = 8;

/// What was touched, and how it is now.
#[derive(Debug)]
pub(super) struct Touched<K, V> {
    few: SmallVec<[(K, V); FEW]>,
    /// What had no room there.
    others: BTreeMap<K, V>,
}

impl<K, V> Default for Touched<K, V> {
    fn default() -> Self {
        Self {
            few: SmallVec::new(),
            others: BTreeMap::new(),
        }
    }
}

impl<K: Copy + Ord, V> Touched<K, V> {
    pub(super) fn get(&self, key: K) -> Option<&V> {
        let mut few = self.few.iter();
        let found = few.find(|(of, _)| *of == key).map(|(_, value)| value);
        found.or_else(|| self.others.get(&key))
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        let mut few = self.few.iter_mut();
        if let Some((_, known)) = few.find(|(of, _)| *of == key) {
            *known = value;
        } else if self.few.len() < FEW {
            self.few.push((key, value));
        } else {
            self.others.insert(key, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_answers_as_a_map_does(
            steps in proptest::collection::vec((0_u8..30, any::<u8>()), 0..60),
        ) {
            let (mut touched, mut map) = (Touched::default(), BTreeMap::new());
            for (key, value) in steps {
                touched.insert(key, value);
                map.insert(key, value);
                for key in 0..30 {
                    prop_assert_eq!(touched.get(key), map.get(&key));
                }
            }
        }
    }
}
