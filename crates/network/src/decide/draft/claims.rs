//! What a batch does with claims.

use std::collections::{BTreeMap, BTreeSet};

use remuda_placement::{NodeOffer, Placement};
use remuda_types::{ClaimId, NodeKey, Shape, WorkloadId};

use super::{Draft, Undo};
use crate::index::Layer;
use crate::state::Claimed;

/// What this batch did with claims so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes {
    /// Those that are not as the state has them: called, given up, let go of, or with a node now.
    disposed: BTreeSet<ClaimId>,
    /// Workloads whose claims are to be counted when the batch is done, with those of their claims
    /// that lost their nodes.
    recounts: BTreeMap<WorkloadId, BTreeSet<ClaimId>>,
    /// Where it claimed capacity for whom.
    granted: BTreeSet<(WorkloadId, NodeKey)>,
}

impl Draft<'_> {
    /// Keeps capacity for a claim, for the batch's later steps.
    pub(in crate::decide) fn claim(
        &mut self,
        (id, workload): (ClaimId, WorkloadId),
        place: &Placement,
        shape: Shape,
    ) {
        self.claims.disposed.insert(id);
        self.claims.granted.insert((workload, place.node));
        let held = self
            .index
            .hold(place.node, (&shape, place.gpus), Layer::Claim);
        if held.is_ok() {
            let undo = Undo::Held(place.node, shape, place.gpus, Layer::Claim);
            self.undo.push(undo);
        }
    }

    /// Keeps capacity for a claim no longer.
    pub(in crate::decide) fn unclaim(&mut self, id: ClaimId, place: &Claimed) {
        self.claims.disposed.insert(id);
        if let Some(claim) = self.state.claims.get(&id) {
            self.recount(claim.workload);
        }
        let (shape, gpus) = (place.shape, place.gpus());
        let released = self.index.release(place.node, (&shape, gpus), Layer::Claim);
        if released.is_ok() {
            let undo = Undo::Released(place.node, shape, gpus, Layer::Claim);
            self.undo.push(undo);
        }
    }

    /// The nodes on which this batch claimed capacity for a workload.
    pub(in crate::decide) fn claimed_for(
        &self,
        workload: WorkloadId,
    ) -> impl Iterator<Item = NodeKey> + '_ {
        let granted = self.claims.granted.iter();
        let granted = granted.filter(move |(of, _)| *of == workload);
        granted.map(|(_, node)| *node)
    }

    /// Whether this batch did something with a claim.
    pub(in crate::decide) fn disposed_of(&self, id: ClaimId) -> bool {
        self.claims.disposed.contains(&id)
    }

    /// Has the claims of a workload counted when the batch is done.
    pub(in crate::decide) fn recount(&mut self, workload: WorkloadId) {
        self.claims.recounts.entry(workload).or_default();
    }

    /// Notes that a claim of a workload lost its node.
    pub(in crate::decide) fn vacated(&mut self, workload: WorkloadId, id: ClaimId) {
        self.claims.recounts.entry(workload).or_default().insert(id);
    }

    /// Whether the claims of a workload are counted when the batch is done.
    pub(in crate::decide) fn recounts(&self, workload: WorkloadId) -> bool {
        self.claims.recounts.contains_key(&workload)
    }

    /// The workloads whose claims are to be counted now.
    pub(in crate::decide) fn take_recounts(&mut self) -> BTreeMap<WorkloadId, BTreeSet<ClaimId>> {
        std::mem::take(&mut self.claims.recounts)
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
