//! Who has lost a place, or one that was booked, and goes before standing orders when room comes free.
//!
//! They have turns of their own, ever more rarely; these keep what fails over and over from being
//! started on the spot. So only those are told here who wait for nothing but room. Spot, which would
//! have to make room again, is not among them. What does not belong here: their own turns (`due`).

use remuda_types::Time;

use super::due::Due;
use super::{Index, Layer};
use crate::state::{EndReason, Replica, State};

impl Index {
    /// Takes note of whether one seeks room, as the state has it now, and when its turn is.
    pub(super) fn note_seeker(&mut self, state: &State, due: Due, at: Option<Time>) {
        let at = at.filter(|_| seeks_room(state, due));
        self.seekers.set(due, at);
    }

    /// Those who seek room and whose turn has not come at `now`, the next first.
    pub(crate) fn seekers_after(&self, now: Time) -> impl Iterator<Item = Due> + '_ {
        self.seekers.after(now)
    }
}

fn seeks_room(state: &State, due: Due) -> bool {
    match due {
        Due::Replica(id) => state.replicas.get(&id).is_some_and(|replica| {
            Layer::of_workload(state, replica.workload) == Layer::Firm && lacks_room(replica)
        }),
        Due::Claim(id) => state
            .claims
            .get(&id)
            .is_some_and(|claim| state.reservations.contains_key(&claim.workload)),
        Due::Lease(_)
        | Due::Tranche(_)
        | Due::Provider(_)
        | Due::Node(_)
        | Due::Ended(_)
        | Due::Reservation(_)
        | Due::Order(_) => false,
    }
}

/// Whether it has no lease for no other reason.
const fn lacks_room(replica: &Replica) -> bool {
    match replica.last_end {
        None
        | Some(
            EndReason::NodeLost
            | EndReason::NodeRestarted
            | EndReason::ProviderLeft
            | EndReason::Drained
            | EndReason::TermOver
            | EndReason::GaveWay,
        ) => true,
        Some(
            EndReason::PrepareFailed
            | EndReason::NeverReady
            | EndReason::RuntimeRefused
            | EndReason::Stopped
            | EndReason::Completed
            | EndReason::Crashed
            | EndReason::OutOfMemory
            | EndReason::BudgetExhausted,
        ) => false,
    }
}
