//! A map by hash that hashes the same way in every run. It must never be iterated: the order of its
//! entries means nothing.

use hashbrown::HashMap;

/// The map.
pub(crate) type Map<K, V> = HashMap<K, V, foldhash::fast::FixedState>;
