//! Facts about claims and reservations.

use std::collections::BTreeSet;

use remuda_types::ClaimId;

use crate::event::Event;
use crate::state::{Claim, Claimed, Reservation, State};

impl State {
    pub(super) fn change_claim(&mut self, event: &Event) {
        match event {
            Event::ClaimSought {
                claim,
                workload,
                retry,
            } => {
                let sought = self.claims.entry(*claim).or_insert(Claim {
                    workload: *workload,
                    place: None,
                    attempts: 0,
                    retry: None,
                    replica: None,
                });
                sought.replica = None;
                // One that had a node begins anew.
                sought.attempts = match sought.place.take() {
                    Some(_) => 0,
                    None => sought.attempts.saturating_add(1),
                };
                sought.retry = Some(*retry);
            }
            Event::ClaimGranted {
                claim,
                workload,
                node,
                shape,
                gpu_bits,
                at,
            } => {
                let Some(on) = self.nodes.get(node) else {
                    return;
                };
                let place = Claimed {
                    node: *node,
                    provider: on.provider,
                    site: on.site,
                    shape: *shape,
                    gpu_bits: *gpu_bits,
                    at: *at,
                };
                let granted = Claim {
                    workload: *workload,
                    place: Some(place),
                    attempts: 0,
                    retry: None,
                    replica: None,
                };
                self.claims.insert(*claim, granted);
                if let Some(reservation) = self.reservations.get_mut(workload) {
                    reservation.claims.insert(*claim);
                }
            }
            Event::ClaimCalled { claim, .. } | Event::ClaimReleased { claim } => {
                let removed = self.claims.remove(claim);
                let workload = removed.map(|claim| claim.workload);
                let reservation = workload.and_then(|id| self.reservations.get_mut(&id));
                if let Some(reservation) = reservation {
                    reservation.claims.remove(claim);
                }
            }
            Event::ClaimBegun { claim, replica } => {
                if let Some(claim) = self.claims.get_mut(claim) {
                    claim.replica = Some(*replica);
                }
            }
            _ => {}
        }
    }

    pub(super) fn change_reservation(&mut self, event: &Event) {
        match event {
            Event::ReservationMade {
                workload,
                project,
                terms,
                replicas,
                from,
                to,
                at,
            } => {
                let made = Reservation {
                    project: *project,
                    terms: (**terms).clone(),
                    replicas: *replicas,
                    from: *from,
                    to: *to,
                    at: *at,
                    begun: false,
                    claims: BTreeSet::new(),
                };
                self.reservations.insert(*workload, made);
            }
            Event::ReservationBegun { workload, .. } => {
                if let Some(reservation) = self.reservations.get_mut(workload) {
                    reservation.begun = true;
                }
            }
            Event::ReservationEnded { workload, .. } => {
                self.reservations.remove(workload);
            }
            _ => {}
        }
    }

    /// A lease has ended: what was booked for it by this claim is kept again.
    pub(super) fn keep_again(&mut self, claim: ClaimId) {
        if let Some(claim) = self.claims.get_mut(&claim) {
            claim.replica = None;
        }
    }
}
