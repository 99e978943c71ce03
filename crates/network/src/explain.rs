//! Why there is no room, as things are now: worked out for those who ask, by a look at every state
//! that nodes are in. Nothing that is decided waits for it.
//!
//! What a tier may have though it is not free counts as room: for what is sold under a promise what
//! spot has, for spot what is claimed and not called.

use remuda_placement::{Replicas, Request, Unplaced};
use remuda_types::{ReplicaId, Together, WorkloadId};

mod staying;

use crate::Network;
use crate::index::{Interval, Layer};
use crate::refusal::{Refusal, Room, Wanted};
use crate::state::{Claimed, Lease, Terms, Workload};
use crate::terms::siblings;

impl Network {
    /// What a refusal leaves out for those who do not ask: why no node has room. A refusal that no
    /// longer holds, since room came to be meanwhile, is left as it is.
    pub fn explain(&self, refusal: Refusal) -> Refusal {
        let why = match &refusal {
            Refusal::NoRoom(wanted) => self.why_not(wanted),
            _ => None,
        };
        why.map_or(refusal, |why| Refusal::NoCapacity(Box::new(why)))
    }

    fn why_not(&self, wanted: &Wanted) -> Option<Unplaced> {
        match wanted.room {
            Room::Now => self.why_no_room(&wanted.terms, wanted.replicas),
            Room::Within { from, to } => self.why_no_room_within((from, to), wanted),
            Room::Beside(id) => {
                let workload = self.state().workloads.get(&id)?;
                self.why_no_more((id, workload), workload.replica_count(), wanted.replicas)
            }
        }
    }

    fn why_no_room_within(&self, interval: Interval, wanted: &Wanted) -> Option<Unplaced> {
        let gaps = self.index().gaps_and_yielding(interval);
        let mut request = wanted.terms.request(wanted.replicas).ok()?;
        let booked_up = self.index().layers.booked_up();
        request.avoid.nodes.extend(booked_up.iter().copied());
        let group = Replicas::new(wanted.replicas).ok()?;
        remuda_placement::explain_group((self.index().fleet(), &gaps), &request, group)
    }

    /// Why so many replicas of these terms have no place now, if they have none.
    pub fn why_no_room(&self, terms: &Terms, replicas: u32) -> Option<Unplaced> {
        let request = terms.request(replicas).ok()?;
        self.unplaced(terms, &request, Replicas::new(replicas).ok()?)
    }

    /// Why the replicas of a workload that wait have no place now, all of them, if some do and have
    /// none.
    pub fn why_waiting(&self, id: WorkloadId) -> Option<Unplaced> {
        let workload = self.state().workloads.get(&id)?;
        let have = workload.replica_count() - self.waiting_of(id);
        self.why_no_more((id, workload), have, workload.replica_count())
    }

    /// How many replicas of a workload that is to run wait for a lease.
    pub fn waiting_of(&self, id: WorkloadId) -> u32 {
        let workload = self.state().workloads.get(&id);
        let workload = workload.filter(|workload| !workload.stopping);
        let replicas = workload.into_iter().flat_map(|of| &of.replicas);
        let replicas = replicas.filter_map(|id| self.state().replicas.get(id));
        let waiting = replicas.filter(|replica| replica.lease.is_none()).count();
        u32::try_from(waiting).unwrap_or(u32::MAX)
    }

    /// Why a workload that has so many replicas has no room for so many in all, if there is none; what is
    /// kept for more of them is as good as had. Where a gang is nowhere, none for all of it.
    fn why_no_more(
        &self,
        (id, workload): (WorkloadId, &Workload),
        have: u32,
        replicas: u32,
    ) -> Option<Unplaced> {
        let request = self.beside_others((id, workload), replicas, None)?;
        let is_nowhere = request.together == Together::Fabric && request.fabric.is_none();
        let kept = u32::try_from(self.kept(id).count()).ok()?;
        let have = if is_nowhere {
            0
        } else {
            have.saturating_add(kept)
        };
        let group = Replicas::new(replicas.checked_sub(have)?).ok()?;
        let why = self.unplaced(&workload.terms, &request, group)?;
        Some(why.beside(have))
    }

    /// What is asked for one of a workload's replicas, so many in all, beside those that have leases,
    /// itself left out.
    fn beside_others(
        &self,
        (id, workload): (WorkloadId, &Workload),
        replicas: u32,
        but: Option<ReplicaId>,
    ) -> Option<Request> {
        let mut request = workload.terms.request(replicas).ok()?;
        let held = self.leases_held(workload);
        let others: Vec<_> = held.filter(|lease| Some(lease.replica) != but).collect();
        if request.spreads() {
            let homes = others.iter().map(|of| (of.replica, (of.provider, of.site)));
            request.siblings = siblings(homes);
            for place in self.kept(id) {
                request.siblings.add(place.provider, place.site);
            }
        }
        if request.together == Together::Fabric {
            let node = others.last().map(|lease| lease.node);
            let node = node.or_else(|| self.kept(id).next().map(|place| place.node));
            request.fabric = node.and_then(|node| self.state().cell_of(node));
        }
        Some(request)
    }

    /// What is kept on open nodes for replicas of a reservation that have no lease.
    fn kept(&self, id: WorkloadId) -> impl Iterator<Item = Claimed> + '_ {
        let reservation = self.state().reservations.get(&id);
        let claims = reservation.into_iter().flat_map(|of| &of.claims);
        let claims = claims.filter_map(|id| self.state().claims.get(id));
        let idle = claims.filter(|claim| claim.replica.is_none());
        let places = idle.filter_map(|claim| claim.place);
        places.filter(|place| self.index().fleet().is_open(place.node) == Some(true))
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
