//! Which claims a workload has, and which are on a node.

use std::collections::BTreeSet;

use remuda_types::{ClaimId, NodeKey, WorkloadId};

use super::{Due, Index, Layer, done};
use crate::state::State;

const FIRST: ClaimId = ClaimId::from_u128(0);
const LAST: ClaimId = ClaimId::from_u128(u128::MAX);

/// The claims.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Claims {
    of: BTreeSet<(WorkloadId, ClaimId)>,
    /// Those that have a node.
    on: BTreeSet<(NodeKey, ClaimId)>,
}

impl Claims {
    /// Those of a workload.
    pub(crate) fn of(&self, workload: WorkloadId) -> impl Iterator<Item = ClaimId> + '_ {
        let range = self.of.range((workload, FIRST)..=(workload, LAST));
        range.map(|(_, claim)| *claim)
    }

    /// Those on a node.
    pub(crate) fn on(&self, node: NodeKey) -> impl Iterator<Item = ClaimId> + '_ {
        let range = self.on.range((node, FIRST)..=(node, LAST));
        range.map(|(_, claim)| *claim)
    }
}

impl Index {
    /// Takes note of a claim as the state has it now.
    pub(super) fn note_claim(&mut self, state: &State, id: ClaimId) {
        if let Some(claim) = state.claims.get(&id) {
            self.claims.of.insert((claim.workload, id));
            if let Some(place) = &claim.place {
                self.claims.on.insert((place.node, id));
                let held = (&place.shape, place.gpus());
                done(self.hold(place.node, held, Layer::Claim));
            }
        }
        self.refresh(state, Due::Claim(id));
    }

    /// Takes back what is noted of a claim that the state is about to change.
    pub(super) fn forget_claim(&mut self, state: &State, id: ClaimId) {
        let Some(claim) = state.claims.get(&id) else {
            return;
        };
        self.claims.of.remove(&(claim.workload, id));
        if let Some(place) = &claim.place {
            self.claims.on.remove(&(place.node, id));
            done(self.release(place.node, (&place.shape, place.gpus()), Layer::Claim));
        }
    }
}
