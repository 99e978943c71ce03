//! Which leases are looked at in one go of repacking, and where the next one begins.
//!
//! In turn, some at a time, so that a look never holds up what people wait for.

use std::ops::Bound;

use remuda_types::LeaseId;

use crate::state::{Lease, State};

/// The leases of a look that begins here.
pub fn looked_at(state: &State, from: LeaseId) -> impl Iterator<Item = (LeaseId, &Lease)> {
    let rest = state.leases.range(from..);
    let rest = rest.take(state.policy.repack.look as usize);
    rest.map(|(id, lease)| (*id, lease))
}

/// Where the look after one that begins here does; from the first lease again after the last.
pub fn next(state: &State, from: LeaseId) -> LeaseId {
    let first = LeaseId::from_u128(0);
    let Some((last, _)) = looked_at(state, from).last() else {
        return first;
    };
    let mut after = state
        .leases
        .range((Bound::Excluded(last), Bound::Unbounded));
    after.next().map_or(first, |(id, _)| *id)
}
