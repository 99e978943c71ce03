//! Why there is no room, as things are now: worked out for those who ask, by a look at every state
//! that nodes are in. Nothing that is decided waits for it.
//!
//! What a tier may have though it is not free counts as room: for what is sold under a promise what
//! spot has, for spot what is claimed and not called.

use remuda_placement::{Replicas, Request, Unplaced};
use remuda_types::{ReplicaId, Together, WorkloadId};

mod staying;

use crate::Network;
use crate::index::Layer;
use crate::refusal::{Later, Refusal, Wanted};
use crate::state::{Lease, Terms, Workload};
use crate::terms::siblings;

impl Network {
    /// What a refusal leaves out for those who do not ask: why no node has room. A refusal that no
    /// longer holds, since room came to be meanwhile, is left as it is.
    pub fn explain(&self, refusal: Refusal) -> Refusal {
        let why = match &refusal {
            Refusal::NoRoom(wanted) => match &wanted.later {
                None => self.why_no_room(&wanted.terms, wanted.replicas),
                Some(later) => self.why_no_room_later(wanted, later),
            },
            _ => None,
        };
        why.map_or(refusal, |why| Refusal::NoCapacity(Box::new(why)))
    }

    fn why_no_room_later(&self, wanted: &Wanted, later: &Later) -> Option<Unplaced> {
        let gaps = self.index().gaps_and_yielding((later.from, later.to));
        let fleets = (self.index().fleet(), &gaps);
        let group = Replicas::new(wanted.replicas).ok()?;
        let mut request = wanted.terms.request(wanted.replicas).ok()?;
        let booked_up = self.index().layers.booked_up();
        request.avoid.nodes.extend(booked_up.iter().copied());
        if request.together == Together::Fabric {
            return remuda_placement::explain_group(fleets, &request, group);
        }
        let why = remuda_placement::why_not(fleets, &request, &later.placed, group);
        Some(why)
    }

    /// Why so many replicas of these terms have no place now, if they have none.
    pub fn why_no_room(&self, terms: &Terms, replicas: u32) -> Option<Unplaced> {
        let request = terms.request(replicas).ok()?;
        self.unplaced(terms, &request, Replicas::new(replicas).ok()?)
    }

    /// Why the replicas of a workload that wait have no place now, if some do and have none. Where
    /// a gang is nowhere, none for all of it.
    pub fn why_waiting(&self, id: WorkloadId) -> Option<Unplaced> {
        let workload = self.state().workloads.get(&id)?;
        let waits = |id: &&ReplicaId| {
            let replica = self.state().replicas.get(*id);
            replica.is_some_and(|replica| replica.lease.is_none())
        };
        if workload.stopping || !workload.replicas.iter().any(|id| waits(&id)) {
            return None;
        }
        let request = self.beside_others(workload, None)?;
        let is_gang = request.together == Together::Fabric && request.fabric.is_none();
        let group = if is_gang { workload.replica_count() } else { 1 };
        let group = Replicas::new(group).ok()?;
        self.unplaced(&workload.terms, &request, group)
    }

    /// What is asked for one of a workload's replicas beside those that have leases, itself left out.
    fn beside_others(&self, workload: &Workload, but: Option<ReplicaId>) -> Option<Request> {
        let mut request = workload.terms.request(workload.replica_count()).ok()?;
        let held = self.leases_held(workload);
        let others: Vec<_> = held.filter(|lease| Some(lease.replica) != but).collect();
        if request.spreads() {
            let homes = others.iter().map(|of| (of.replica, (of.provider, of.site)));
            request.siblings = siblings(homes);
        }
        if request.together == Together::Fabric {
            request.fabric = others
                .last()
                .and_then(|lease| self.state().cell_of(lease.node));
        }
        Some(request)
    }

    fn leases_held<'a>(&'a self, workload: &'a Workload) -> impl Iterator<Item = &'a Lease> {
        let state = self.state();
        let replicas = workload.replicas.iter();
        let replicas = replicas.filter_map(|id| state.replicas.get(id));
        let leases =
            replicas.flat_map(|replica| replica.lease.into_iter().chain(replica.successor));
        leases.filter_map(|id| state.leases.get(&id))
    }

    fn unplaced(&self, terms: &Terms, request: &Request, group: Replicas) -> Option<Unplaced> {
        let index = self.index();
        let instead = index.layers.of(Layer::of(terms.tier));
        remuda_placement::explain_group((index.fleet(), instead), request, group)
    }
}
