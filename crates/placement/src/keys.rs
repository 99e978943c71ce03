//! An ordered set of node keys that is small nearly always: most states have one node in them.

use std::collections::BTreeSet;

use remuda_types::NodeKey;
use smallvec::SmallVec;

/// Up to so many keys are kept in a row.
const FEW: usize = 16;

/// The set.
#[derive(Clone, Debug)]
pub(crate) enum Keys {
    /// Ascending.
    Few(SmallVec<[NodeKey; 1]>),
    Many(BTreeSet<NodeKey>),
}

impl Default for Keys {
    fn default() -> Self {
        Self::Few(SmallVec::new())
    }
}

impl Keys {
    pub(crate) fn insert(&mut self, key: NodeKey) {
        match self {
            Self::Few(keys) if keys.len() < FEW => {
                if let Err(at) = keys.binary_search(&key) {
                    keys.insert(at, key);
                }
            }
            Self::Few(keys) => {
                let many = keys.drain(..).chain([key]).collect();
                *self = Self::Many(many);
            }
            Self::Many(keys) => {
                keys.insert(key);
            }
        }
    }

    pub(crate) fn remove(&mut self, key: NodeKey) {
        match self {
            Self::Few(keys) => {
                if let Ok(at) = keys.binary_search(&key) {
                    keys.remove(at);
                }
            }
            Self::Many(keys) => {
                keys.remove(&key);
                if keys.is_empty() {
                    *self = Self::default();
                }
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Few(keys) => keys.len(),
            Self::Many(keys) => keys.len(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn contains(&self, key: NodeKey) -> bool {
        match self {
            Self::Few(keys) => keys.binary_search(&key).is_ok(),
            Self::Many(keys) => keys.contains(&key),
        }
    }

    /// The keys, ascending.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = NodeKey> + '_ {
        let (few, many) = match self {
            Self::Few(keys) => (Some(keys.iter()), None),
            Self::Many(keys) => (None, Some(keys.iter())),
        };
        let (few, many) = (few.into_iter().flatten(), many.into_iter().flatten());
        few.chain(many).copied()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_an_ordered_set(steps in proptest::collection::vec((any::<bool>(), 0_u8..40), 0..200)) {
            let (mut keys, mut expected) = (Keys::default(), BTreeSet::new());
            for (insert, byte) in steps {
                let key = NodeKey([byte; 32]);
                if insert {
                    keys.insert(key);
                    expected.insert(key);
                } else {
                    keys.remove(key);
                    expected.remove(&key);
                }
                prop_assert!(keys.iter().eq(expected.iter().copied()));
                prop_assert_eq!((keys.len(), keys.is_empty()), (expected.len(), expected.is_empty()));
                prop_assert_eq!(keys.contains(key), expected.contains(&key));
            }
        }
    }
}
