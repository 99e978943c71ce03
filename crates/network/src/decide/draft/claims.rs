//! What a batch does with claims.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use remuda_placement::{Booking, NodeOffer, Placement};
use remuda_types::{ClaimId, NodeKey, Shape, Time, WorkloadId};

use super::trail::Trail;
use super::{Draft, Undo};
use crate::index::{Held, Kept, after_of, begun_on, kept};
use crate::state::{Claimed, Lease};

/// What this batch did with claims so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes {
    /// Those that are not as the state has them: called, given up, let go of, or with a node now.
    disposed: Trail<ClaimId, ()>,
    /// Workloads whose claims are to be counted when the batch is done, with those of their claims
    /// that lost their nodes.
    recounts: Trail<(WorkloadId, Option<ClaimId>), ()>,
    /// Where it claimed capacity for whom.
    granted: Trail<(WorkloadId, ClaimId), NodeKey>,
    /// Claims on which leases began, or ended.
    begun: Trail<ClaimId, bool>,
    /// Of each workload's idle claims, all up to this one are not idle any more.
    passed: Trail<WorkloadId, Option<Held>>,
    /// Claims on which leases ended, so that they are idle.
    freed: Trail<(WorkloadId, Held), ()>,
}

/// Where all that stood.
#[derive(Clone, Copy)]
pub(super) struct Mark([usize; 6]);

impl Changes {
    pub(super) fn mark(&mut self) -> Mark {
        Mark([
            self.disposed.mark(),
            self.recounts.mark(),
            self.granted.mark(),
            self.begun.mark(),
            self.passed.mark(),
            self.freed.mark(),
        ])
    }

    pub(super) fn back_to(&mut self, mark: Mark) {
        let Mark([disposed, recounts, granted, begun, passed, freed]) = mark;
        self.disposed.back_to(disposed);
        self.recounts.back_to(recounts);
        self.granted.back_to(granted);
        self.begun.back_to(begun);
        self.passed.back_to(passed);
        self.freed.back_to(freed);
    }

    /// Up to where the workload's idle claims are not idle any more.
    fn passed(&self, workload: WorkloadId) -> Option<Held> {
        self.passed.get(&workload).flatten()
    }
}

/// All that is said of a workload and some claim.
fn by_any_claim(workload: WorkloadId) -> RangeInclusive<(WorkloadId, ClaimId)> {
    (workload, ClaimId::from_u128(0))..=(workload, ClaimId::from_u128(u128::MAX))
}

fn booking(place: &Placement, shape: Shape, (from, to): (Time, Time)) -> Kept {
    Kept::Booked(Booking {
        from,
        to,
        shape,
        gpus: place.gpus,
    })
}

impl Draft<'_> {
    /// Keeps capacity for a claim, for the batch's later steps.
    pub(in crate::decide) fn claim(
        &mut self,
        (id, workload): (ClaimId, WorkloadId),
        place: &Placement,
        shape: Shape,
    ) {
        self.claims.disposed.set(id, ());
        self.claims.granted.set((workload, id), place.node);
        let kept = match self.state.reservations.get(&workload) {
            None => Kept::Standby((shape, place.gpus)),
            Some(booked) => booking(place, shape, (booked.from, booked.to)),
        };
        self.keep(place.node, kept);
    }

    /// Books a place, for the batch's later steps.
    pub(in crate::decide) fn book(
        &mut self,
        place: &Placement,
        shape: Shape,
        interval: (Time, Time),
    ) {
        self.keep(place.node, booking(place, shape, interval));
    }

    /// Keeps capacity for a claim no longer.
    pub(in crate::decide) fn unclaim(&mut self, id: ClaimId, place: &Claimed) {
        let begun = self.has_begun(id);
        self.claims.disposed.set(id, ());
        let Some(claim) = self.state.claims.get(&id) else {
            return;
        };
        self.recount(claim.workload);
        let reservation = self.state.reservations.get(&claim.workload);
        self.unkeep(place.node, kept(place, reservation));
        if begun {
            self.unkeep(place.node, begun_on(place));
        }
    }

    /// Whether a replica has a lease on what is booked by a claim.
    pub(in crate::decide) fn has_begun(&self, id: ClaimId) -> bool {
        let known = self.state.claims.get(&id);
        let known = known.is_some_and(|claim| claim.replica.is_some());
        self.claims.begun.get(&id).unwrap_or(known)
    }

    /// What is booked by a claim is a lease's from now on.
    pub(in crate::decide) fn begin(&mut self, id: ClaimId, place: &Claimed) {
        if let Some(workload) = self.state.claims.get(&id).map(|claim| claim.workload) {
            let passed = self.claims.passed(workload);
            let first = self.index.claims.idle(workload, passed).next();
            if first == Some((place.at, id)) {
                self.claims.passed.set(workload, Some((place.at, id)));
            }
        }
        self.claims.begun.set(id, true);
        self.keep(place.node, begun_on(place));
    }

    /// The next of a workload's claims that have a node and no lease on it, after one of them; the
    /// longest held first.
    pub(in crate::decide) fn next_idle(
        &self,
        workload: WorkloadId,
        after: Option<Held>,
    ) -> Option<(ClaimId, Claimed)> {
        let is_idle = |(_, id): &Held| !self.disposed_of(*id) && !self.has_begun(*id);
        let passed = self.claims.passed(workload);
        let mut idle = self.index.claims.idle(workload, after.max(passed));
        let freed = self.claims.freed.range(after_of(workload, after));
        let mut freed = freed.map(|((_, held), ())| *held);
        let next = idle.find(is_idle).into_iter();
        let (_, id) = next.chain(freed.find(is_idle)).min()?;
        Some((id, self.state.claims.get(&id)?.place?))
    }

    /// Undoes [`Draft::begin`]: there was no room after all.
    pub(in crate::decide) fn begin_not(&mut self, id: ClaimId, place: &Claimed) {
        self.claims.begun.set(id, false);
        let claim = self.state.claims.get(&id);
        claim.map(|claim| self.claims.passed.set(claim.workload, None));
        self.unkeep(place.node, begun_on(place));
    }

    /// A lease has ended: what was booked for it is kept again.
    pub(super) fn keep_again(&mut self, lease: &Lease) {
        let Some((id, place)) = self.index.claim_of(self.state, lease) else {
            return;
        };
        if self.has_begun(id) && !self.disposed_of(id) {
            self.claims.begun.set(id, false);
            let freed = (lease.workload, (place.at, id));
            self.claims.freed.set(freed, ());
            self.unkeep(place.node, begun_on(place));
        }
    }

    fn keep(&mut self, node: NodeKey, kept: Kept) {
        if self.index.keep(node, &kept).is_ok() {
            self.undo.push(Undo::Kept(node, kept));
        }
    }

    fn unkeep(&mut self, node: NodeKey, kept: Kept) {
        if self.index.unkeep(node, &kept).is_ok() {
            self.undo.push(Undo::Unkept(node, kept));
        }
    }

    /// The nodes on which this batch claimed capacity for a workload, each as often as it did.
    pub(in crate::decide) fn claimed_for(
        &self,
        workload: WorkloadId,
    ) -> impl Iterator<Item = NodeKey> + '_ {
        let granted = self.claims.granted.range(by_any_claim(workload));
        granted.map(|(_, node)| *node)
    }

    /// Notes that this batch does something with a claim that keeps nothing.
    pub(in crate::decide) fn dispose_of(&mut self, id: ClaimId) {
        self.claims.disposed.set(id, ());
    }

    /// Whether this batch did something with a claim.
    pub(in crate::decide) fn disposed_of(&self, id: ClaimId) -> bool {
        self.claims.disposed.contains(&id)
    }

    /// Has the claims of a workload counted when the batch is done.
    pub(in crate::decide) fn recount(&mut self, workload: WorkloadId) {
        self.claims.recounts.set((workload, None), ());
    }

    /// Notes that a claim of a workload lost its node.
    pub(in crate::decide) fn vacated(&mut self, workload: WorkloadId, id: ClaimId) {
        self.recount(workload);
        self.claims.recounts.set((workload, Some(id)), ());
    }

    /// Whether the claims of a workload are counted when the batch is done.
    pub(in crate::decide) fn recounts(&self, workload: WorkloadId) -> bool {
        self.claims.recounts.contains(&(workload, None))
    }

    /// The workloads whose claims are to be counted now.
    pub(in crate::decide) fn take_recounts(&mut self) -> BTreeMap<WorkloadId, BTreeSet<ClaimId>> {
        let mut recounts = BTreeMap::<_, BTreeSet<_>>::new();
        for (workload, vacated) in self.claims.recounts.take() {
            recounts.entry(workload).or_default().extend(vacated);
        }
        recounts
    }

    /// Whether what is held of a node has room in what it would offer.
    pub(in crate::decide) fn fits(&mut self, offer: &NodeOffer) -> bool {
        let Some(before) = self.index.fleet.offer(offer.node) else {
            return true;
        };
        let fits = self.index.offer(offer).is_ok();
        if fits {
            crate::index::done(self.index.offer(&before));
        }
        fits
    }
}
