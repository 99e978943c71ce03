//! Pages of lists, and the cursors between them.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::hash::Hash;
use std::ops::Bound;
use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;
use remuda_types::Table;
use remuda_wire::api::page::{LIMIT_DEFAULT, LIMIT_MAX, Page, PageQuery};

use super::problem::Problem;

/// Which part of a list is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window<K> {
    /// Everything up to this was on earlier pages.
    pub(super) after: Option<K>,
    /// Items at most.
    pub(super) limit: usize,
}

impl<K: FromStr> Window<K> {
    pub(super) fn of(query: &PageQuery) -> Result<Self, Problem> {
        let limit = query.limit.unwrap_or(LIMIT_DEFAULT);
        if !(1..=LIMIT_MAX).contains(&limit) {
            let detail = format!("limit is {limit}: 1 to {LIMIT_MAX} is expected");
            return Err(Problem::invalid(detail));
        }
        let after = query.cursor.as_deref().map(decode).transpose()?;
        Ok(Self {
            after,
            limit: limit as usize,
        })
    }
}

fn decode<K: FromStr>(cursor: &str) -> Result<K, Problem> {
    let bytes = BASE64URL_NOPAD.decode(cursor.as_bytes()).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    let key = text.and_then(|text| text.parse().ok());
    key.ok_or_else(|| {
        Problem::invalid("cursor is not one that this list gave: begin again without it")
    })
}

fn encode(key: &impl Display) -> String {
    BASE64URL_NOPAD.encode(key.to_string().as_bytes())
}

impl<K: Display> Window<K> {
    /// The first items of what comes after the cursor.
    pub(super) fn fill<T>(&self, items: impl Iterator<Item = (K, T)>) -> Page<T> {
        self.fill_within(items, &Load::ANY)
    }

    /// The same, cut short where items together are more than is answered at once; there is always
    /// one at least.
    fn fill_within<T>(&self, items: impl Iterator<Item = (K, T)>, load: &Load<T>) -> Page<T> {
        let (mut last, mut more, mut weighs) = (None, false, 0_usize);
        let mut data = Vec::new();
        for (key, item) in items {
            let with_it = weighs.saturating_add((load.of)(&item));
            more = data.len() == self.limit || !data.is_empty() && with_it > load.most;
            if more {
                break;
            }
            (last, weighs) = (Some(key), with_it);
            data.push(item);
        }
        let next_cursor = last.filter(|_| more).as_ref().map(encode);
        Page { data, next_cursor }
    }
}

/// What items are to be together at most, where they differ in size.
pub(super) struct Load<T> {
    pub(super) of: fn(&T) -> usize,
    pub(super) most: usize,
}

impl<T> Load<T> {
    /// They do not differ.
    const ANY: Self = Self {
        of: |_| 0,
        most: usize::MAX,
    };
}

/// A map that can be walked from a key on, in the order of its keys.
pub(super) trait Ordered {
    type Key: Ord + Copy + Display;
    type Value;

    fn beyond(&self, start: Bound<Self::Key>) -> impl Iterator<Item = (&Self::Key, &Self::Value)>;
}

impl<K: Ord + Copy + Display, V> Ordered for BTreeMap<K, V> {
    type Key = K;
    type Value = V;

    fn beyond(&self, start: Bound<K>) -> impl Iterator<Item = (&K, &V)> {
        self.range((start, Bound::Unbounded))
    }
}

impl<K: Ord + Copy + Display + Hash, V> Ordered for Table<K, V> {
    type Key = K;
    type Value = V;

    fn beyond(&self, start: Bound<K>) -> impl Iterator<Item = (&K, &V)> {
        self.range((start, Bound::Unbounded))
    }
}

/// A page of a map, without what `item` has nothing for.
pub(super) fn of_map<M: Ordered, T>(
    map: &M,
    window: &Window<M::Key>,
    item: impl FnMut(M::Key, &M::Value) -> Option<T>,
) -> Page<T> {
    of_map_within(map, window, &Load::ANY, item)
}

/// The same, cut short where items together are more than is answered at once.
pub(super) fn of_map_within<M: Ordered, T>(
    map: &M,
    window: &Window<M::Key>,
    load: &Load<T>,
    mut item: impl FnMut(M::Key, &M::Value) -> Option<T>,
) -> Page<T> {
    let start = window.after.map_or(Bound::Unbounded, Bound::Excluded);
    let rest = map.beyond(start);
    let items = rest.filter_map(|(key, value)| Some((*key, item(*key, value)?)));
    window.fill_within(items, load)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn window(limit: u32, cursor: Option<String>) -> Window<u32> {
        Window::of(&PageQuery {
            limit: Some(limit),
            cursor,
        })
        .unwrap()
    }

    proptest! {
        #[test]
        fn pages_together_are_the_list(keys in proptest::collection::btree_set(0_u32..1_000, 0..60), limit in 1_u32..20) {
            let map: BTreeMap<u32, u32> = keys.iter().map(|key| (*key, *key)).collect();
            let even = |_, value: &u32| value.is_multiple_of(2).then_some(*value);
            let (mut seen, mut cursor) = (Vec::new(), None);
            loop {
                let page = of_map(&map, &window(limit, cursor), even);
                prop_assert!(page.data.len() <= limit as usize);
                seen.extend(page.data);
                cursor = page.next_cursor;
                if cursor.is_none() { break; }
            }
            let all: Vec<u32> = map.into_keys().filter(|key| key.is_multiple_of(2)).collect();
            prop_assert_eq!(seen, all);
        }

        #[test]
        fn pages_that_are_cut_short_are_the_list_too(sizes in proptest::collection::vec(0_usize..9, 0..60), most in 0_usize..20) {
            let map: BTreeMap<u32, usize> = (0_u32..).zip(sizes).collect();
            let load = Load { of: |(_, size): &(u32, usize)| *size, most };
            let (mut seen, mut cursor) = (Vec::new(), None);
            loop {
                let page = of_map_within(&map, &window(20, cursor), &load, |key, size| Some((key, *size)));
                let sum: usize = page.data.iter().map(|(_, size)| size).sum();
                prop_assert!(sum <= most || page.data.len() == 1);
                seen.extend(page.data);
                cursor = page.next_cursor;
                if cursor.is_none() { break; }
            }
            prop_assert_eq!(seen, map.into_iter().collect::<Vec<_>>());
        }

        #[test]
        fn any_cursor_is_a_place_or_an_error(cursor in "\\PC{0,20}") {
            let query = PageQuery { limit: None, cursor: Some(cursor.clone()) };
            if let Ok(window) = Window::<u32>::of(&query) {
                prop_assert!(window.after.is_some());
            }
        }
    }

    #[test]
    fn limits_are_checked() {
        for limit in [0, LIMIT_MAX + 1] {
            assert!(
                Window::<u32>::of(&PageQuery {
                    limit: Some(limit),
                    cursor: None
                })
                .is_err()
            );
        }
    }
}
