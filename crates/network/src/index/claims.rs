//! Which claims a workload has, which are on a node, and what a replica has of them.

use std::collections::BTreeSet;
use std::ops::{Bound, RangeBounds};

use remuda_placement::Booking;
use remuda_types::{ClaimId, NodeKey, ReplicaId, Time, WorkloadId};

use super::{Due, Index, Kept, done};
use crate::event::Event;
use crate::state::{Claim, Claimed, Lease, Reservation, State};

const FIRST: ClaimId = ClaimId::from_u128(0);
const LAST: ClaimId = ClaimId::from_u128(u128::MAX);

/// The claims.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Claims {
    of: BTreeSet<(WorkloadId, ClaimId)>,
    /// Those that have a node.
    on: BTreeSet<(NodeKey, ClaimId)>,
    /// Those that a replica has a lease on.
    begun: BTreeSet<(ReplicaId, ClaimId)>,
    /// Those that have a node and no lease on it, the longest held first.
    idle: BTreeSet<OfHeld>,
}

/// Since when, and what.
pub(crate) type Held = (Time, ClaimId);

/// And whose.
pub(crate) type OfHeld = (WorkloadId, Held);

impl Claims {
    /// Those of a workload.
    pub(crate) fn of(&self, workload: WorkloadId) -> impl Iterator<Item = ClaimId> + '_ {
        let range = self.of.range((workload, FIRST)..=(workload, LAST));
        range.map(|(_, claim)| *claim)
    }

    /// Those that a replica has a lease on: one, or none.
    fn begun_by(&self, replica: ReplicaId) -> impl Iterator<Item = ClaimId> + '_ {
        let range = self.begun.range((replica, FIRST)..=(replica, LAST));
        range.map(|(_, claim)| *claim)
    }

    /// Those of a workload that have a node and no lease on it, the longest held first, after one of
    /// them.
    pub(crate) fn idle(
        &self,
        workload: WorkloadId,
        after: Option<Held>,
    ) -> impl Iterator<Item = Held> + '_ {
        let range = self.idle.range(after_of(workload, after));
        range.map(|(_, held)| *held)
    }

    /// Takes note of a claim that has a node, or of one that has it no longer.
    fn note_idle(&mut self, id: ClaimId, claim: &Claim, is_there: bool) {
        let held = claim.place.map(|place| (claim.workload, (place.at, id)));
        if let Some(held) = held.filter(|_| claim.replica.is_none()) {
            if is_there {
                self.idle.insert(held);
            } else {
                self.idle.remove(&held);
            }
        }
    }

    /// Those on a node.
    pub(crate) fn on(&self, node: NodeKey) -> impl Iterator<Item = ClaimId> + '_ {
        let range = self.on.range((node, FIRST)..=(node, LAST));
        range.map(|(_, claim)| *claim)
    }
}

/// Where the claims of a workload lie that come after one of them, or all of them.
pub(crate) fn after_of(workload: WorkloadId, after: Option<Held>) -> impl RangeBounds<OfHeld> {
    let all = Bound::Included((workload, (Time::EPOCH, FIRST)));
    let first = after.map_or(all, |after| Bound::Excluded((workload, after)));
    (first, Bound::Included((workload, (Time::FOREVER, LAST))))
}

/// What is kept for a claim: until it is called, or for the time that it is booked for.
pub(crate) fn kept(place: &Claimed, reservation: Option<&Reservation>) -> Kept {
    let (shape, gpus) = (place.shape, place.gpus());
    reservation.map_or(Kept::Standby((shape, gpus)), |booked| {
        Kept::Booked(Booking {
            from: booked.from,
            to: booked.to,
            shape,
            gpus,
        })
    })
}

/// What a claim keeps, if a lease has it: a lease of the replica that began on it, there and on those
/// GPUs. A claim names the replica and not the lease; of two such leases it is the younger that began.
fn had_by<'a>(state: &'a State, id: ClaimId, lease: &Lease) -> Option<&'a Claimed> {
    let claim = state.claims.get(&id)?;
    let place = claim.place.as_ref()?;
    let is_there = |other: &Lease| {
        let what = (other.replica, other.node, other.shape, other.gpu_bits);
        what == (lease.replica, place.node, place.shape, place.gpu_bits)
    };
    let on = state.nodes.get(&place.node).into_iter();
    let others = on.flat_map(|node| &node.leases);
    let mut others = others.filter_map(|other| state.leases.get(other));
    let has_younger = others.any(|other| is_there(other) && other.epoch > lease.epoch);
    let has_it = claim.replica == Some(lease.replica) && is_there(lease) && !has_younger;
    has_it.then_some(place)
}

impl Index {
    /// The claim that a lease has what was booked by.
    pub(crate) fn claim_of<'a>(
        &self,
        state: &'a State,
        lease: &Lease,
    ) -> Option<(ClaimId, &'a Claimed)> {
        let mut begun = self.claims.begun_by(lease.replica);
        begun.find_map(|id| Some((id, had_by(state, id, lease)?)))
    }

    /// The claim that a lease which `event` ends has what was booked by.
    pub(crate) fn began_on(&self, state: &State, event: &Event) -> Option<ClaimId> {
        match event {
            Event::LeaseEnded { lease, .. } => {
                let lease = state.leases.get(lease)?;
                self.claim_of(state, lease).map(|(id, _)| id)
            }
            _ => None,
        }
    }

    /// Takes note of all claims. What leases have of what is booked goes first: others may be booked
    /// in its place for later.
    pub(super) fn note_all_claims(&mut self, state: &State) {
        let begun = |claim: &&Claim| claim.replica.is_some();
        for claim in state.claims.values().filter(begun) {
            if let Some(place) = &claim.place {
                done(self.keep(place.node, &begun_on(place)));
            }
        }
        for id in state.claims.keys() {
            self.note_booked(state, *id);
        }
    }

    /// Takes note of a claim but for what a lease has of it.
    fn note_booked(&mut self, state: &State, id: ClaimId) {
        if let Some(claim) = state.claims.get(&id) {
            self.claims.of.insert((claim.workload, id));
            let begun = claim.replica.map(|replica| (replica, id));
            self.claims.begun.extend(begun);
            self.claims.note_idle(id, claim, true);
            if let Some(place) = &claim.place {
                self.claims.on.insert((place.node, id));
                let kept = kept(place, state.reservations.get(&claim.workload));
                done(self.keep(place.node, &kept));
            }
        }
        self.refresh(state, Due::Claim(id));
    }

    /// Takes note of a claim as the state has it now.
    pub(super) fn note_claim(&mut self, state: &State, id: ClaimId) {
        let claim = state.claims.get(&id);
        let begun = claim.filter(|claim| claim.replica.is_some());
        if let Some(place) = begun.and_then(|claim| claim.place.as_ref()) {
            done(self.keep(place.node, &begun_on(place)));
        }
        self.note_booked(state, id);
    }

    /// Takes back what is noted of a claim that the state is about to change.
    pub(super) fn forget_claim(&mut self, state: &State, id: ClaimId) {
        let Some(claim) = state.claims.get(&id) else {
            return;
        };
        self.claims.of.remove(&(claim.workload, id));
        self.claims.note_idle(id, claim, false);
        if let Some(replica) = claim.replica {
            self.claims.begun.remove(&(replica, id));
        }
        if let Some(place) = &claim.place {
            self.claims.on.remove(&(place.node, id));
            let kept = kept(place, state.reservations.get(&claim.workload));
            done(self.unkeep(place.node, &kept));
            if claim.replica.is_some() {
                done(self.unkeep(place.node, &begun_on(place)));
            }
        }
    }

    /// A lease ends: what was booked for it is kept again.
    pub(super) fn keep_again(&mut self, state: &State, lease: &Lease) {
        if let Some((id, place)) = self.claim_of(state, lease) {
            done(self.unkeep(place.node, &begun_on(place)));
            self.claims.begun.remove(&(lease.replica, id));
            self.claims.idle.insert((lease.workload, (place.at, id)));
        }
    }
}

/// What a lease has of what is booked.
pub(crate) const fn begun_on(place: &Claimed) -> Kept {
    Kept::Begun((place.shape, place.gpus()))
}
