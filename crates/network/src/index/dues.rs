//! What the clock brings about, and when.
//!
//! Most of what is due never comes: a lease that begins to serve is no longer one that fails to. So
//! the order is left alone when something changes, and what no longer holds is passed over; it is
//! cleared away where it comes first, and all of it when it is as much as the rest. What does not
//! belong here: when something is due, which the state says.

use std::collections::BTreeSet;
use std::hash::Hash;

use remuda_types::{LeaseId, Span, Time};

use super::Due;
use crate::map::Map;

/// So much that no longer holds is never too much.
const STALE_MIN: usize = 1_024;

/// What is due when.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dues {
    at: At,
    /// All that holds, and some that no longer does; the first one holds.
    order: BTreeSet<(Time, Due)>,
}

/// When each thing is due, the many of a kind by themselves.
#[derive(Clone, Debug, Default, PartialEq)]
struct At {
    leases: Map<LeaseId, Time>,
    ended: Map<LeaseId, Time>,
    others: Map<Due, Time>,
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

fn set<K: Eq + Hash>(map: &mut Map<K, Time>, key: K, at: Option<Time>) -> Option<Time> {
    match at {
        Some(at) => map.insert(key, at),
        None => map.remove(&key),
    }
}

impl Dues {
    /// Notes when something is due, if it is.
    pub(crate) fn set(&mut self, due: Due, at: Option<Time>) {
        let before = self.at.set(due, at);
        if before == at {
            return;
        }
        self.order.extend(at.map(|at| (at, due)));
        if before.is_some() {
            self.clear_away();
        }
    }

    fn clear_away(&mut self) {
        while let Some(first) = self.order.first().filter(|first| !self.holds(first)) {
            let first = *first;
            self.order.remove(&first);
        }
        let stale = self.order.len() - self.at.len();
        if stale > self.at.len().max(STALE_MIN) {
            let at = &self.at;
            self.order.retain(|(time, due)| at.get(due) == Some(*time));
        }
    }

    fn holds(&self, (time, due): &(Time, Due)) -> bool {
        self.at.get(due) == Some(*time)
    }

    /// When the next of them is.
    pub(crate) fn next(&self) -> Option<Time> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Those of `now` and before, earliest first.
    pub(crate) fn until(&self, now: Time) -> impl Iterator<Item = Due> + '_ {
        let passed = self.order.iter().take_while(move |(at, _)| *at <= now);
        passed.filter(|one| self.holds(one)).map(|(_, due)| *due)
    }
}

impl Dues {
    /// Those after `now`, earliest first.
    pub(crate) fn after(&self, now: Time) -> impl Iterator<Item = Due> + '_ {
        let first = (now + Span::from_millis(1), Due::FIRST);
        let later = self.order.range(first..);
        later.filter(|one| self.holds(one)).map(|(_, due)| *due)
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
            prop_assert!(dues.order.len() <= 2 * dues.at.len() + STALE_MIN);
            prop_assert_eq!(dues, anew);
        }
    }
}
