//! What stays on nodes that drain, and why it has nowhere to go. How it is moved does not belong here.

use remuda_placement::{Replicas, Unplaced};
use remuda_types::{LeaseId, Together};

use crate::Network;
use crate::state::{Lease, State};

impl State {
    /// Whether a replica that is to run has this lease and no other to move to.
    pub fn stays(&self, id: LeaseId, lease: &Lease) -> bool {
        let replica = self.replicas.get(&lease.replica);
        let workload = self.workloads.get(&lease.workload);
        replica.is_some_and(|replica| replica.lease == Some(id) && replica.successor.is_none())
            && workload.is_some_and(|workload| !workload.stopping)
    }

    /// Whether a lease is of a workload whose replicas must stand together, and not the only one.
    pub fn is_of_gang(&self, id: LeaseId) -> bool {
        let lease = self.leases.get(&id);
        let workload = lease.and_then(|lease| self.workloads.get(&lease.workload));
        workload.is_some_and(|of| of.terms.together == Together::Fabric && of.replicas.len() > 1)
    }
}

impl Network {
    /// Why no other node has room for what has this lease, as things are now, if none has. Its own
    /// node is taken to be closed.
    pub fn why_staying(&self, id: LeaseId) -> Option<Unplaced> {
        let lease = self.state().leases.get(&id)?;
        let workload = self.state().workloads.get(&lease.workload)?;
        let of = (lease.workload, workload);
        let request = self.beside_others(of, workload.replica_count(), Some(lease.replica))?;
        self.unplaced(&workload.terms, &request, Replicas::new(1).ok()?)
    }
}
