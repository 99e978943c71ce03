//! A bounded map that forgets what was not used for a while.
//!
//! Two generations: what is used moves to the young one; when that is full it becomes the old one,
//! and what was still old is dropped. No order of use has to be kept, and nothing is iterated.

use std::hash::Hash;

use hashbrown::hash_map::Entry;

use crate::map::Map;

/// The map.
#[derive(Clone, Debug)]
pub(super) struct Generations<K, V> {
    young: Map<K, V>,
    old: Map<K, V>,
    weight: usize,
    budget: usize,
}

impl<K: Eq + Hash, V> Generations<K, V> {
    /// An empty map of which each generation weighs up to `budget`.
    pub(super) fn new(budget: usize) -> Self {
        Self {
            young: Map::default(),
            old: Map::default(),
            weight: 0,
            budget,
        }
    }

    /// The value of a key, made and remembered with this weight if it is not known.
    pub(super) fn get(&mut self, key: K, weight: usize, new: impl FnOnce() -> V) -> &mut V {
        if self.weight > self.budget {
            self.old = std::mem::take(&mut self.young);
            self.weight = 0;
        }
        match self.young.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(vacant) => {
                let value = self.old.remove(vacant.key());
                let value = value.unwrap_or_else(new);
                self.weight += weight;
                vacant.insert(value)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_rest_goes() {
        let mut map = Generations::new(2);
        let mut made = Vec::new();
        for key in [1, 2, 1, 3, 1, 4, 1, 5, 1, 2] {
            let value = *map.get(key, 1, || {
                made.push(key);
                key * 10
            });
            assert_eq!(value, key * 10);
        }
        assert_eq!(made, [1, 2, 3, 4, 5, 2], "1 is used every time, 2 is not");
    }
}
