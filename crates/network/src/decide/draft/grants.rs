//! The leases that a batch grants, found by whose they are.

use std::collections::{BTreeMap, BTreeSet};

use remuda_types::{NodeKey, Price, ProviderId, ReplicaId, SiteId, WorkloadId};

/// So many are found by looking at each.
const FEW: usize = 16;

/// A lease that this batch grants.
#[derive(Clone, Copy, Debug)]
pub(in crate::decide) struct Granted {
    pub(in crate::decide) workload: WorkloadId,
    pub(in crate::decide) replica: ReplicaId,
    pub(in crate::decide) node: NodeKey,
    pub(in crate::decide) provider: ProviderId,
    pub(in crate::decide) site: SiteId,
    pub(in crate::decide) price: Price,
}

/// All of them, in the order in which they were granted.
#[derive(Debug, Default)]
pub(super) struct Grants {
    all: Vec<Granted>,
    /// Where those of a replica are; nothing while they are few.
    by_replica: BTreeMap<ReplicaId, usize>,
    /// The same of a workload.
    by_workload: BTreeSet<(WorkloadId, usize)>,
}

impl Grants {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn push(&mut self, granted: Granted) {
        self.all.push(granted);
        if self.all.len() > FEW {
            let unlisted = self.by_workload.len()..self.all.len();
            unlisted.for_each(|at| self.list(at));
        }
    }

    fn list(&mut self, at: usize) {
        let granted = &self.all[at];
        self.by_replica.entry(granted.replica).or_insert(at);
        self.by_workload.insert((granted.workload, at));
    }

    /// Forgets those after the first so many.
    pub(super) fn truncate(&mut self, len: usize) {
        while self.all.len() > len {
            let Some(last) = self.all.pop() else { return };
            let at = self.all.len();
            self.by_workload.remove(&(last.workload, at));
            if self.by_replica.get(&last.replica) == Some(&at) {
                self.by_replica.remove(&last.replica);
            }
        }
    }

    /// The first of a replica.
    pub(super) fn of_replica(&self, replica: ReplicaId) -> Option<&Granted> {
        if self.all.len() > FEW {
            return self.by_replica.get(&replica).map(|at| &self.all[*at]);
        }
        self.all.iter().find(|granted| granted.replica == replica)
    }

    /// Those of a workload.
    pub(super) fn of_workload(&self, workload: WorkloadId) -> impl Iterator<Item = &Granted> {
        let are_few = self.all.len() <= FEW;
        let few = if are_few { &self.all[..] } else { &[] };
        let few = few
            .iter()
            .filter(move |granted| granted.workload == workload);
        let many = (workload, 0)..=(workload, usize::MAX);
        let many = self.by_workload.range(many).map(|(_, at)| &self.all[*at]);
        few.chain(many.filter(move |_| !are_few))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use remuda_types::Price;

    use super::*;

    fn granted(number: u8) -> Granted {
        Granted {
            workload: WorkloadId::from_u128(u128::from(number % 5)),
            replica: ReplicaId::from_u128(u128::from(number % 40)),
            node: NodeKey([number; 32]),
            provider: ProviderId::from_u128(0),
            site: SiteId::from_u128(0),
            price: Price::from_micros_per_hour(1),
        }
    }

    proptest! {
        #[test]
        fn many_are_found_as_few_are(
            steps in proptest::collection::vec((any::<u8>(), proptest::option::of(0_usize..60)), 0..120),
        ) {
            let (mut grants, mut all) = (Grants::default(), Vec::new());
            for (number, back) in steps {
                grants.push(granted(number));
                all.push(granted(number));
                if let Some(len) = back {
                    grants.truncate(len);
                    all.truncate(len);
                }
                prop_assert_eq!(grants.len(), all.len());
                for number in 0..40 {
                    let Granted { replica, workload, .. } = granted(number);
                    let first = all.iter().find(|granted| granted.replica == replica);
                    let found = grants.of_replica(replica).map(|granted| granted.node);
                    prop_assert_eq!(found, first.map(|granted| granted.node));
                    let of = all.iter().filter(|granted| granted.workload == workload);
                    let of = of.map(|granted| granted.node);
                    prop_assert!(grants.of_workload(workload).map(|granted| granted.node).eq(of));
                }
            }
        }
    }
}
