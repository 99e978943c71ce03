//! What owners and sites have of a workload: never more than its terms allowed when they got it.
//!
//! What they may have shrinks with the number of replicas, and nothing is moved for that. So of the
//! state alone only this is true: what is reserved and has not begun keeps every limit. That a batch
//! grants nobody more than the terms then allow is checked of the batch.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use remuda_placement::{Siblings, Spread};
use remuda_types::WorkloadId;

use super::Violation;
use crate::event::Event;
use crate::state::{Reservation, State, Workload};
use crate::terms::siblings;

pub(super) fn check(state: &State) -> Result<(), Violation> {
    let none = Spread::default();
    let waiting = state.reservations.iter().filter(|(_, of)| !of.begun);
    for (id, reservation) in waiting {
        let most = reservation.terms.spread(reservation.replicas);
        if most != none && exceeds(most, &kept(state, reservation)) {
            return Err(Violation::OverShare(*id));
        }
    }
    Ok(())
}

/// Checks what a batch grants, in the state that it left.
pub(super) fn check_grants(state: &State, events: &[Event]) -> Result<(), Violation> {
    let granted = events.iter().filter_map(|event| match event {
        Event::LeaseGranted { lease, .. } => state.leases.get(lease),
        _ => None,
    });
    let mut grants = BTreeMap::<WorkloadId, BTreeSet<_>>::new();
    for lease in granted {
        let of = grants.entry(lease.workload).or_default();
        of.insert((lease.provider, lease.site));
    }
    for (id, homes) in grants {
        let Some(workload) = state.workloads.get(&id) else {
            continue;
        };
        let most = workload.terms.spread_at_most(workload.replica_count());
        if most == Spread::default() {
            continue;
        }
        let mut held = held(state, workload);
        held.owners
            .retain(|owner, _| homes.iter().any(|home| home.0 == *owner));
        held.sites
            .retain(|site, _| homes.iter().any(|home| home.1 == *site));
        if exceeds(most, &held) {
            return Err(Violation::OverShare(id));
        }
    }
    Ok(())
}

/// Where the replicas of a workload are, or are on their way to.
fn held(state: &State, workload: &Workload) -> Siblings {
    let replicas = workload.replicas.iter();
    let replicas = replicas.filter_map(|id| state.replicas.get(id));
    let leases = replicas.flat_map(|of| of.lease.into_iter().chain(of.successor));
    let leases = leases.filter_map(|id| state.leases.get(&id));
    siblings(leases.map(|of| (of.replica, (of.provider, of.site))))
}

/// Where a place is kept for them.
fn kept(state: &State, reservation: &Reservation) -> Siblings {
    let claims = reservation.claims.iter();
    let places = claims.filter_map(|id| state.claims.get(id)?.place);
    let mut kept = Siblings::default();
    for place in places {
        kept.add(place.provider, place.site);
    }
    kept
}

fn exceeds(most: Spread, has: &Siblings) -> bool {
    let over = |most: Option<NonZeroU32>, has: u32| most.is_some_and(|most| has > most.get());
    let mut owners = has.owners.values();
    let mut sites = has.sites.values();
    owners.any(|has| over(most.per_owner, *has)) || sites.any(|has| over(most.per_site, *has))
}
