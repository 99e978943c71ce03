//! A map by hash that hashes the same way in every run. The order of its entries means nothing: what
//! is iterated is put in order before it is used.

use hashbrown::HashMap;

/// The map.
pub(crate) type Map<K, V> = HashMap<K, V, foldhash::fast::FixedState>;
