//! Who fails together with whom, as a fleet knows it: told from outside, looked up when spreading.

use std::collections::{BTreeMap, BTreeSet};

use remuda_types::SiteId;

use crate::fleet::Fleet;

/// For each site its kin; nothing for those that have none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kin(BTreeMap<SiteId, BTreeSet<SiteId>>);

impl Kin {
    /// The kin of a site.
    pub(crate) fn of(&self, site: SiteId) -> impl Iterator<Item = SiteId> + '_ {
        self.0.get(&site).into_iter().flatten().copied()
    }

    fn set(&mut self, site: SiteId, kin: BTreeSet<SiteId>) {
        for former in self.0.remove(&site).unwrap_or_default() {
            self.part(former, site);
        }
        for other in &kin {
            self.0.entry(*other).or_default().insert(site);
        }
        if !kin.is_empty() {
            self.0.insert(site, kin);
        }
    }

    fn part(&mut self, one: SiteId, other: SiteId) {
        if let Some(kin) = self.0.get_mut(&one) {
            kin.remove(&other);
            if kin.is_empty() {
                self.0.remove(&one);
            }
        }
    }
}

impl Fleet {
    /// These fail together with the site, and no others do: replicas that are to be spread keep off
    /// the kin of where their siblings are while there is another place.
    pub fn set_kin(&mut self, site: SiteId, kin: impl IntoIterator<Item = SiteId>) {
        let others = kin.into_iter().filter(|other| *other != site);
        self.kin.set(site, others.collect());
    }

    /// No site fails together with another.
    pub fn forget_kin(&mut self) {
        self.kin = Kin::default();
    }

    /// The sites that fail together with this one.
    pub fn kin_of(&self, site: SiteId) -> impl Iterator<Item = SiteId> + '_ {
        self.kin.of(site)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn site(number: u8) -> SiteId {
        SiteId::from_u128(u128::from(number))
    }

    proptest! {
        #[test]
        fn kin_are_kin_both_ways_and_what_was_said_last_holds(
            said in proptest::collection::vec((0_u8..6, proptest::collection::btree_set(0_u8..6, 0..4)), 1..20),
        ) {
            let (mut fleet, mut expected) = (Fleet::new(), BTreeSet::new());
            for (one, others) in said {
                fleet.set_kin(site(one), others.iter().copied().map(site));
                expected.retain(|(a, b)| *a != one && *b != one);
                for other in others.into_iter().filter(|other| *other != one) {
                    expected.extend([(one, other), (other, one)]);
                }
                let all = (0..6).flat_map(|a| (0..6).map(move |b| (a, b)));
                for (a, b) in all {
                    let are = fleet.kin_of(site(a)).any(|kin| kin == site(b));
                    prop_assert_eq!(are, expected.contains(&(a, b)));
                }
            }
        }
    }
}
