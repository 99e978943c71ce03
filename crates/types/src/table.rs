//! A map that is looked into far more often than it is walked.
//!
//! It answers as a `BTreeMap` does, and is walked in the order of its keys. Entries lie side by
//! side and do not move; a look-up goes by hash and touches the entry alone. The order is a list
//! of keys beside it, in pieces, that a removal does not touch: a key that is gone is passed over,
//! and where such are more than the others, each removal clears a piece of them. Nothing is ever
//! iterated by hash, and no step takes long, however many entries there are. What does not belong
//! here: what the entries mean.

mod chunks;

use std::fmt;
use std::hash::Hash;
use std::iter::{Flatten, Skip};
use std::ops::{Bound, Index, RangeBounds};
use std::slice;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use minicbor::decode::{self, Decoder};
use minicbor::encode::{self, Encoder, Write};
use minicbor::{Decode, Encode};

use crate::lookup::hash;
use crate::parts::Parts;
use chunks::Chunks;

/// A piece of the order that would have more keys becomes two.
const PIECE_MAX: usize = 512;
/// So many keys that are gone are never too many.
const GONE_MIN: usize = 1_024;

/// The map.
#[derive(Clone)]
pub struct Table<K, V> {
    /// Where the entry of a key is.
    places: Parts<HashTable<u32>>,
    entries: Chunks<Option<(K, V)>>,
    unused: Vec<u32>,
    order: Order<K>,
}

type Keys<'a, K> = Skip<Flatten<slice::Iter<'a, Vec<K>>>>;

/// The entries of a table, by key.
pub struct Iter<'a, K, V> {
    table: &'a Table<K, V>,
    keys: Keys<'a, K>,
    end: Bound<K>,
}

/// Keys, ascending, in pieces; some of them may be gone from the table.
#[derive(Clone)]
struct Order<K> {
    /// The first key of each piece.
    firsts: Vec<K>,
    /// None of them empty.
    pieces: Vec<Vec<K>>,
    keys: usize,
    /// The piece that is cleared next.
    next: usize,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self {
            places: Parts::default(),
            entries: Chunks::default(),
            unused: Vec::new(),
            order: Order::default(),
        }
    }
}

impl<K, V> Table<K, V> {
    /// A table without entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len() - self.unused.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<K: Copy + Ord + Hash, V> Table<K, V> {
    fn place(&self, key: &K) -> Option<usize> {
        place_of(&self.places, &self.entries, key)
    }

    /// The value of a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        let (_, value) = self.entries.get(self.place(key)?)?.as_ref()?;
        Some(value)
    }

    /// The value of a key, to be changed.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let place = self.place(key)?;
        let (_, value) = self.entries.get_mut(place)?.as_mut()?;
        Some(value)
    }

    /// Whether the key has an entry.
    pub fn contains_key(&self, key: &K) -> bool {
        self.place(key).is_some()
    }

    /// Sets the value of a key; says what it was.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let entries = &mut self.entries;
        let is_it = |place: &u32| is_at(entries, *place, &key);
        let hash_at = |place: &u32| hash_of(entries, *place);
        let at = hash(&key);
        let free = match self.places.of_mut(at).entry(at, is_it, hash_at) {
            Entry::Occupied(found) => {
                let (_, known) = entries.get_mut(*found.get() as usize)?.as_mut()?;
                return Some(std::mem::replace(known, value));
            }
            Entry::Vacant(free) => free,
        };
        let place = self.unused.pop().unwrap_or_else(|| {
            entries.push(None);
            u32::try_from(entries.len() - 1).unwrap_or(u32::MAX)
        });
        free.insert(place);
        if let Some(entry) = entries.get_mut(place as usize) {
            *entry = Some((key, value));
        }
        self.order.insert(key);
        None
    }

    /// Takes an entry out.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let entries = &self.entries;
        let is_it = |place: &u32| is_at(entries, *place, key);
        let at = hash(key);
        let found = self.places.of_mut(at).find_entry(at, is_it).ok()?;
        let (place, _) = found.remove();
        let (_, value) = self.entries.get_mut(place as usize)?.take()?;
        self.unused.push(place);
        self.forget_gone();
        Some(value)
    }

    /// Clears a piece of the order where more of its keys are gone than are there.
    fn forget_gone(&mut self) {
        let gone = self.order.keys - self.len();
        if gone > self.len().max(GONE_MIN) {
            let (entries, places) = (&self.entries, &self.places);
            self.order
                .clear_piece(|key| place_of(places, entries, key).is_some());
        }
    }

    /// The entries, by key.
    pub fn iter(&self) -> Iter<'_, K, V> {
        Iter {
            table: self,
            keys: self.order.from(Bound::Unbounded),
            end: Bound::Unbounded,
        }
    }

    /// The keys, ascending.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }

    /// The values, by key.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// The entries of a range of keys, by key.
    pub fn range(&self, keys: impl RangeBounds<K>) -> Iter<'_, K, V> {
        Iter {
            table: self,
            keys: self.order.from(keys.start_bound()),
            end: keys.end_bound().cloned(),
        }
    }

    /// The entry with the least key.
    pub fn first_key_value(&self) -> Option<(&K, &V)> {
        self.iter().next()
    }
}

impl<'a, K: Copy + Ord + Hash, V> Iterator for Iter<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let key = self.keys.next()?;
            match self.end {
                Bound::Included(last) if *key > last => return None,
                Bound::Excluded(end) if *key >= end => return None,
                Bound::Included(_) | Bound::Excluded(_) | Bound::Unbounded => {}
            }
            if let Some(place) = self.table.place(key) {
                let (key, value) = self.table.entries.get(place)?.as_ref()?;
                return Some((key, value));
            }
        }
    }
}

fn place_of<K: Hash + PartialEq, V>(
    places: &Parts<HashTable<u32>>,
    entries: &Chunks<Option<(K, V)>>,
    key: &K,
) -> Option<usize> {
    let hash = hash(key);
    let is_it = |place: &u32| is_at(entries, *place, key);
    let place = places.of(hash).find(hash, is_it)?;
    Some(*place as usize)
}

fn is_at<K: PartialEq, V>(entries: &Chunks<Option<(K, V)>>, place: u32, key: &K) -> bool {
    let entry = entries.get(place as usize);
    entry.is_some_and(|entry| entry.as_ref().is_some_and(|(at, _)| at == key))
}

fn hash_of<K: Hash, V>(entries: &Chunks<Option<(K, V)>>, place: u32) -> u64 {
    let entry = entries.get(place as usize).and_then(Option::as_ref);
    entry.map_or(0, |(key, _)| hash(key))
}

impl<K> Default for Order<K> {
    fn default() -> Self {
        Self {
            firsts: Vec::new(),
            pieces: Vec::new(),
            keys: 0,
            next: 0,
        }
    }
}

impl<K: Copy + Ord> Order<K> {
    /// The piece that the key is in, if it is anywhere.
    fn piece_of(&self, key: &K) -> usize {
        let behind = match self.firsts.last() {
            Some(first) if first <= key => self.firsts.len(),
            _ => self.firsts.partition_point(|first| first <= key),
        };
        behind.saturating_sub(1)
    }

    /// Adds a key, unless it is there still from when it was in the table before.
    fn insert(&mut self, key: K) {
        let at = self.piece_of(&key);
        let Some(piece) = self.pieces.get_mut(at) else {
            self.append(vec![key]);
            self.keys = 1;
            return;
        };
        if piece.last().is_some_and(|last| *last < key) {
            piece.push(key);
        } else {
            let Err(place) = piece.binary_search(&key) else {
                return;
            };
            piece.insert(place, key);
        }
        self.keys += 1;
        self.firsts[at] = piece[0];
        if piece.len() > PIECE_MAX {
            self.split(at);
        }
    }

    /// Keys come mostly at the end: there a full piece is left as it is.
    fn split(&mut self, at: usize) {
        let is_last = at + 1 == self.pieces.len();
        let piece = &mut self.pieces[at];
        let keep = if is_last {
            PIECE_MAX * 7 / 8
        } else {
            PIECE_MAX / 2
        };
        let upper = piece.split_off(keep);
        self.firsts.insert(at + 1, upper[0]);
        self.pieces.insert(at + 1, upper);
    }

    fn append(&mut self, piece: Vec<K>) {
        self.firsts.extend(piece.first());
        self.pieces.push(piece);
    }

    /// Keeps only these keys of the piece whose turn it is.
    fn clear_piece(&mut self, is_there: impl Fn(&K) -> bool) {
        let at = self.next % self.pieces.len().max(1);
        let Some(piece) = self.pieces.get_mut(at) else {
            return;
        };
        self.keys -= piece.len();
        piece.retain(is_there);
        self.keys += piece.len();
        self.next = at + 1;
        self.settle(at);
    }

    /// Puts a piece that has fewer keys than it had right: it has a first key, or is one with the
    /// piece before it.
    fn settle(&mut self, at: usize) {
        let before = at.checked_sub(1).map(|before| &self.pieces[before]);
        let is_small = |before: &Vec<K>| before.len() + self.pieces[at].len() <= PIECE_MAX / 2;
        match self.pieces[at].first() {
            Some(first) if !before.is_some_and(is_small) => self.firsts[at] = *first,
            _ => {
                let piece = self.pieces.remove(at);
                self.firsts.remove(at);
                self.next = at;
                if let Some(before) = at.checked_sub(1) {
                    self.pieces[before].extend(piece);
                }
            }
        }
    }

    /// The keys from there on.
    fn from(&self, start: Bound<&K>) -> Keys<'_, K> {
        let (at, skipped) = match start {
            Bound::Unbounded => (0, 0),
            Bound::Included(key) => self.up_to(key, |one| one < key),
            Bound::Excluded(key) => self.up_to(key, |one| one <= key),
        };
        let pieces = self.pieces.get(at..).unwrap_or_default();
        pieces.iter().flatten().skip(skipped)
    }

    fn up_to(&self, key: &K, before: impl Fn(&K) -> bool) -> (usize, usize) {
        let at = self.piece_of(key);
        let piece = self.pieces.get(at);
        (at, piece.map_or(0, |piece| piece.partition_point(before)))
    }
}

impl<K: Copy + Ord + Hash, V: PartialEq> PartialEq for Table<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self
                .iter()
                .all(|(key, value)| other.get(key) == Some(value))
    }
}

impl<K: Copy + Ord + Hash, V: Eq> Eq for Table<K, V> {}

impl<K: Copy + Ord + Hash + fmt::Debug, V: fmt::Debug> fmt::Debug for Table<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: Copy + Ord + Hash, V> FromIterator<(K, V)> for Table<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut table = Self::default();
        for (key, value) in entries {
            table.insert(key, value);
        }
        table
    }
}

impl<K: Copy + Ord + Hash, V, const N: usize> From<[(K, V); N]> for Table<K, V> {
    fn from(entries: [(K, V); N]) -> Self {
        entries.into_iter().collect()
    }
}

/// # Panics
/// When the key has no entry, as maps do.
impl<K: Copy + Ord + Hash, V> Index<&K> for Table<K, V> {
    type Output = V;

    #[expect(clippy::expect_used, reason = "as maps do")]
    fn index(&self, key: &K) -> &V {
        self.get(key).expect("the key has an entry")
    }
}

impl<'a, K: Copy + Ord + Hash, V> IntoIterator for &'a Table<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = Iter<'a, K, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// As a `BTreeMap` is encoded.
impl<C, K: Copy + Ord + Hash + Encode<C>, V: Encode<C>> Encode<C> for Table<K, V> {
    fn encode<W: Write>(
        &self,
        e: &mut Encoder<W>,
        context: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        e.map(self.len() as u64)?;
        for (key, value) in self {
            key.encode(e, context)?;
            value.encode(e, context)?;
        }
        Ok(())
    }
}

impl<'b, C, K: Copy + Ord + Hash + Decode<'b, C>, V: Decode<'b, C>> Decode<'b, C> for Table<K, V> {
    fn decode(d: &mut Decoder<'b>, context: &mut C) -> Result<Self, decode::Error> {
        d.map_iter_with(context)?.collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// Asked everything, a table answers as a map.
    fn same(table: &Table<u32, u8>, map: &BTreeMap<u32, u8>) -> Result<(), TestCaseError> {
        prop_assert_eq!(table.len(), map.len());
        prop_assert!(table.iter().eq(map.iter()));
        prop_assert_eq!(table.first_key_value(), map.first_key_value());
        prop_assert_eq!(
            minicbor::to_vec(table).unwrap(),
            minicbor::to_vec(map).unwrap()
        );
        Ok(())
    }

    proptest! {
        #[test]
        fn it_answers_as_a_map_does(
            steps in proptest::collection::vec((0_u8..4, 0_u32..3_000, any::<u8>()), 0..6_000),
            ranges in proptest::collection::vec((0_u32..3_000, 0_u32..3_000), 8),
        ) {
            let (mut table, mut map) = (Table::new(), BTreeMap::new());
            for (step, (kind, key, value)) in steps.into_iter().enumerate() {
                // Keys that grow, as ids do, and keys anywhere.
                let key = if kind == 3 { u32::try_from(step).unwrap() } else { key };
                if kind == 0 {
                    prop_assert_eq!(table.remove(&key), map.remove(&key));
                } else {
                    prop_assert_eq!(table.insert(key, value), map.insert(key, value));
                }
                prop_assert_eq!(table.get(&key), map.get(&key));
            }
            same(&table, &map)?;
            for (from, to) in ranges {
                let (from, to) = (from.min(to), from.max(to));
                prop_assert!(table.range(from..to).eq(map.range(from..to)));
                prop_assert!(table.range(from..=to).eq(map.range(from..=to)));
                let after = (Bound::Excluded(from), Bound::Unbounded);
                prop_assert!(table.range(after).eq(map.range(after)));
            }
            let bytes = minicbor::to_vec(&table).unwrap();
            prop_assert_eq!(&minicbor::decode::<Table<u32, u8>>(&bytes).unwrap(), &table);
            let left: Table<_, _> = map.iter().skip(1).map(|(key, value)| (*key, *value)).collect();
            prop_assert_eq!(left == table, map.is_empty());
        }

        #[test]
        fn what_is_gone_is_cleared_away(kept in proptest::collection::btree_set(0_u32..5_000, 0..40)) {
            let mut table: Table<u32, u8> = (0..5_000).map(|key| (key, 1)).collect();
            for key in (0..5_000).filter(|key| !kept.contains(key)) {
                table.remove(&key);
            }
            prop_assert!(table.order.keys <= 2 * GONE_MIN);
            prop_assert!(table.order.pieces.len() <= 2 * table.order.keys / (PIECE_MAX / 2) + 1);
            prop_assert!(table.keys().eq(kept.iter()));
        }
    }
}
