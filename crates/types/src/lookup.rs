//! A map that is only ever asked for a key.
//!
//! It hashes the same way in every run, and is never walked: the order of its entries means nothing.
//! It grows in parts, so that no insertion takes long. One that is walked is a
//! [`Table`](crate::Table).

use std::fmt;
use std::hash::{BuildHasher, Hash};

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::parts::Parts;

/// The map.
#[derive(Clone)]
pub struct Lookup<K, V> {
    parts: Parts<HashTable<(K, V)>>,
    len: usize,
}

impl<K, V> Default for Lookup<K, V> {
    fn default() -> Self {
        Self {
            parts: Parts::default(),
            len: 0,
        }
    }
}

/// The hash of a key, the same in every run.
pub(crate) fn hash<K: Hash>(key: &K) -> u64 {
    FixedState::default().hash_one(key)
}

impl<K, V> Lookup<K, V> {
    /// How many entries there are.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl<K: Eq + Hash, V> Lookup<K, V> {
    /// The value of a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        let hash = hash(key);
        let found = self.parts.of(hash).find(hash, |(of, _)| of == key);
        found.map(|(_, value)| value)
    }

    /// The value of a key, to be changed.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let hash = hash(key);
        let found = self.parts.of_mut(hash).find_mut(hash, |(of, _)| of == key);
        found.map(|(_, value)| value)
    }

    /// Whether the key has an entry.
    pub fn contains_key(&self, key: &K) -> bool {
        self.get(key).is_some()
    }

    fn entry(&mut self, key: &K) -> Entry<'_, (K, V)> {
        let at = hash(key);
        let part = self.parts.of_mut(at);
        part.entry(at, |(of, _)| of == key, |(of, _)| hash(of))
    }

    /// Sets the value of a key; says what it was.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.entry(&key) {
            Entry::Occupied(mut known) => Some(std::mem::replace(&mut known.get_mut().1, value)),
            Entry::Vacant(free) => {
                free.insert((key, value));
                self.len += 1;
                None
            }
        }
    }

    /// The value of a key, to be changed; made where there is none.
    pub fn or_default(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        let at = hash(&key);
        let part = self.parts.of_mut(at);
        let entry = part.entry(at, |(of, _)| *of == key, |(of, _)| hash(of));
        let found = match entry {
            Entry::Occupied(known) => known,
            Entry::Vacant(free) => {
                self.len += 1;
                free.insert((key, V::default()))
            }
        };
        &mut found.into_mut().1
    }

    /// Takes an entry out.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        match self.entry(key) {
            Entry::Occupied(known) => {
                let ((_, value), _) = known.remove();
                self.len -= 1;
                Some(value)
            }
            Entry::Vacant(_) => None,
        }
    }
}

impl<K: Eq + Hash, V: PartialEq> PartialEq for Lookup<K, V> {
    fn eq(&self, other: &Self) -> bool {
        let mut entries = self.parts.iter().flatten();
        self.len == other.len && entries.all(|(key, value)| other.get(key) == Some(value))
    }
}

impl<K: Eq + Hash, V: Eq> Eq for Lookup<K, V> {}

impl<K, V> fmt::Debug for Lookup<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lookup")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_answers_as_a_map_does(
            steps in proptest::collection::vec((0_u8..4, 0_u32..900, any::<u8>()), 0..4_000),
        ) {
            let (mut lookup, mut map) = (Lookup::default(), BTreeMap::new());
            for (kind, key, value) in steps {
                match kind {
                    0 => prop_assert_eq!(lookup.remove(&key), map.remove(&key)),
                    1 => {
                        *lookup.or_default(key) ^= value;
                        *map.entry(key).or_default() ^= value;
                    }
                    _ => prop_assert_eq!(lookup.insert(key, value), map.insert(key, value)),
                }
                prop_assert_eq!(lookup.get(&key), map.get(&key));
                prop_assert_eq!(lookup.len(), map.len());
            }
            let mut again = Lookup::default();
            for (key, value) in map {
                prop_assert_eq!(lookup.get_mut(&key).copied(), Some(value));
                again.insert(key, value);
            }
            prop_assert_eq!(&again, &lookup);
            again.insert(900, 0);
            prop_assert_ne!(again, lookup);
        }
    }
}
