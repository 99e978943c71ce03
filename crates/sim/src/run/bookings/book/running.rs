//! A workload that was booked and runs.

use std::collections::BTreeSet;

use remuda_network::State;
use remuda_types::{LeaseId, NodeKey, Price, ReplicaId, WorkloadId};

use crate::run::error::Broken;

/// A workload that was booked and runs.
#[derive(Debug)]
pub(super) struct Running {
    /// How many replicas were booked.
    replicas: u32,
    /// Where capacity was kept for it as it began.
    promised: Vec<NodeKey>,
    /// The most that a replica may cost an hour.
    pub(super) most: Option<Price>,
    members: BTreeSet<ReplicaId>,
    /// Where it was granted leases.
    granted: Vec<NodeKey>,
}

impl Running {
    pub(super) const fn new(replicas: u32, promised: Vec<NodeKey>) -> Self {
        Self {
            replicas,
            promised,
            most: None,
            members: BTreeSet::new(),
            granted: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, replica: ReplicaId) {
        self.members.insert(replica);
    }

    pub(super) fn remove(&mut self, replica: ReplicaId) {
        self.members.remove(&replica);
    }

    /// A lease is granted to a replica of it.
    pub(super) fn grant(
        &mut self,
        lease: LeaseId,
        replica: ReplicaId,
        (node, price): (NodeKey, Price),
    ) -> Result<(), Broken> {
        if self.members.contains(&replica) {
            self.granted.push(node);
        }
        match self.most {
            Some(most) if price > most => Err(Broken::Dearer { lease, price, most }),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether every replica has a lease.
    pub(super) fn is_whole(&self, state: &State) -> bool {
        let has_lease = |id: &ReplicaId| {
            let replica = state.replicas.get(id);
            replica.is_some_and(|replica| replica.lease.is_some())
        };
        !self.members.is_empty() && self.members.iter().all(has_lease)
    }

    /// It has just begun: with all its replicas, on the nodes that kept something for it and are there.
    pub(super) fn check_begun(
        &self,
        id: WorkloadId,
        is_up: impl Fn(&NodeKey) -> bool,
    ) -> Result<(), Broken> {
        let mut granted = self.granted.clone();
        for node in self.promised.iter().filter(|node| is_up(node)) {
            let Some(at) = granted.iter().position(|of| of == node) else {
                return Err(Broken::NotGiven(id, *node));
            };
            granted.swap_remove(at);
        }
        self.check_members(id)
    }

    /// It has just been deployed: all of it.
    pub(super) fn check_filled(&self, id: WorkloadId) -> Result<(), Broken> {
        if self.granted.len() < self.replicas as usize {
            return Err(Broken::BookedInPart(id));
        }
        self.check_members(id)
    }

    fn check_members(&self, id: WorkloadId) -> Result<(), Broken> {
        if self.members.len() == self.replicas as usize {
            return Ok(());
        }
        Err(Broken::BookedInPart(id))
    }
}
