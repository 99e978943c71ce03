//! What the clock brings about, and when.
//!
//! Most of what is due never comes: a lease that begins to serve is no longer one that fails to. So
//! the order is left alone when something changes, and what no longer holds is passed over. It is
//! cleared away where it comes first, all that does; and where it is more than the rest, each change
//! clears some of it. What does not belong here: when something is due, which the state says.

use std::collections::BTreeMap;
use std::hash::Hash;
use std::ops::{Bound, RangeBounds};

use remuda_types::{LeaseId, Lookup, Time};

use super::Due;

/// So much that no longer holds is never too much.
const STALE_MIN: usize = 1_024;
/// Of so much, and what is due at the same time, a change sees whether it still holds.
const SEEN_AT_ONCE: usize = 8;

/// What is due when.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dues {
    at: At,
    /// All that holds, and some that no longer does; the last one of the first time holds.
    order: BTreeMap<Time, Vec<Due>>,
    /// How much that is.
    listed: usize,
    /// From where on it is seen next whether it still holds.
    next_seen: Time,
}

/// When each thing is due, the many of a kind by themselves.
#[derive(Clone, Debug, Default, PartialEq)]
struct At {
    leases: Lookup<LeaseId, Time>,
    ended: Lookup<LeaseId, Time>,
    others: Lookup<Due, Time>,
}

impl At {
    fn get(&self, due: &Due) -> Option<Time> {
        match due {
            Due::Lease(id) => self.leases.get(id).copied(),
            Due::Ended(id) => self.ended.get(id).copied(),
            other => self.others.get(other).copied(),
        }
    }

    /// Notes it; says what was noted before.
    fn set(&mut self, due: Due, at: Option<Time>) -> Option<Time> {
        match due {
            Due::Lease(id) => set(&mut self.leases, id, at),
            Due::Ended(id) => set(&mut self.ended, id, at),
            other => set(&mut self.others, other, at),
        }
    }

    fn len(&self) -> usize {
        self.leases.len() + self.ended.len() + self.others.len()
    }
}

fn set<K: Eq + Hash>(lookup: &mut Lookup<K, Time>, key: K, at: Option<Time>) -> Option<Time> {
    match at {
        Some(at) => lookup.insert(key, at),
        None => lookup.remove(&key),
    }
}

impl Dues {
    /// Notes when something is due, if it is.
    pub(crate) fn set(&mut self, due: Due, at: Option<Time>) {
        let before = self.at.set(due, at);
        if before == at {
            return;
        }
        if let Some(at) = at {
            self.order.entry(at).or_default().push(due);
            self.listed += 1;
        }
        if before.is_some() {
            self.clear_first();
            self.clear_some();
        }
    }

    /// Takes away what comes first and no longer holds.
    fn clear_first(&mut self) {
        while let Some(mut first) = self.order.first_entry() {
            let (time, dues) = (*first.key(), first.get_mut());
            while let Some(due) = dues.last() {
                if self.at.get(due) == Some(time) {
                    return;
                }
                dues.pop();
                self.listed -= 1;
            }
            first.remove();
        }
    }

    /// Takes away some of what no longer holds, if that is most.
    fn clear_some(&mut self) {
        let mut seen = 0;
        while seen < SEEN_AT_ONCE && self.listed - self.at.len() > self.at.len().max(STALE_MIN) {
            seen += self.clear_next().max(1);
        }
    }

    /// Takes away what no longer holds of the next time, and what is there twice; says how much was
    /// there.
    fn clear_next(&mut self) -> usize {
        let Some((time, dues)) = self.order.range_mut(self.next_seen..).next() else {
            self.next_seen = Time::EPOCH;
            return 0;
        };
        let (time, before) = (*time, dues.len());
        dues.retain(|due| self.at.get(due) == Some(time));
        dues.sort_unstable();
        dues.dedup();
        self.listed -= before - dues.len();
        if dues.is_empty() {
            self.order.remove(&time);
        }
        // After the last of all times comes the first.
        self.next_seen = Time::from_millis(time.as_millis().wrapping_add(1));
        before
    }

    /// When the next of them is.
    pub(crate) fn next(&self) -> Option<Time> {
        self.order.first_key_value().map(|(at, _)| *at)
    }

    /// Those of `now` and before, earliest first.
    pub(crate) fn until(&self, now: Time) -> impl Iterator<Item = Due> + '_ {
        self.within(..=now)
    }

    /// Those after `now`, earliest first.
    pub(crate) fn after(&self, now: Time) -> impl Iterator<Item = Due> + '_ {
        self.within((Bound::Excluded(now), Bound::Unbounded))
    }

    fn within(&self, times: impl RangeBounds<Time>) -> impl Iterator<Item = Due> + '_ {
        let of_times = self.order.range(times);
        of_times.flat_map(|(time, dues)| self.holding(*time, dues))
    }

    /// Those that hold, in their order.
    fn holding(&self, time: Time, dues: &[Due]) -> Vec<Due> {
        let holds = |due: &&Due| self.at.get(due) == Some(time);
        let mut holding: Vec<_> = dues.iter().filter(holds).copied().collect();
        holding.sort_unstable();
        holding.dedup();
        holding
    }
}

impl PartialEq for Dues {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at && self.until(Time::FOREVER).eq(other.until(Time::FOREVER))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use remuda_types::ReplicaId;

    use super::*;

    fn due(number: u64) -> Due {
        let bits = u128::from(number / 3);
        match number % 3 {
            0 => Due::Lease(LeaseId::from_u128(bits)),
            1 => Due::Ended(LeaseId::from_u128(bits)),
            _ => Due::Replica(ReplicaId::from_u128(bits)),
        }
    }

    proptest! {
        #[test]
        fn it_says_what_a_list_in_order_says(
            steps in proptest::collection::vec((0_u64..60, proptest::option::of(0_u64..60)), 0..4_000),
            now in 0_u64..60,
        ) {
            let (mut dues, mut expected) = (Dues::default(), BTreeMap::new());
            for (id, at) in steps {
                let (due, at) = (due(id), at.map(Time::from_millis));
                dues.set(due, at);
                match at {
                    Some(at) => expected.insert(due, at),
                    None => expected.remove(&due),
                };
                prop_assert_eq!(dues.next(), expected.values().min().copied());
            }
            let now = Time::from_millis(now);
            let mut all: Vec<_> = expected.iter().collect();
            all.sort_by_key(|(due, at)| (**at, **due));
            let (due, later): (Vec<_>, Vec<_>) = all.into_iter().partition(|(_, at)| **at <= now);
            prop_assert!(dues.until(now).eq(due.into_iter().map(|(due, _)| *due)));
            prop_assert!(dues.after(now).eq(later.into_iter().map(|(due, _)| *due)));
            let mut anew = Dues::default();
            for (due, at) in expected {
                anew.set(due, Some(at));
            }
            prop_assert_eq!(dues.listed, dues.order.values().map(Vec::len).sum::<usize>());
            prop_assert!(dues.order.values().all(|dues| !dues.is_empty()));
            prop_assert!(dues.listed <= 3 * dues.at.len() + 2 * STALE_MIN);
            prop_assert_eq!(dues, anew);
        }
    }
}
