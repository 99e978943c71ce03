//! Facts about claims.

use crate::event::Event;
use crate::state::{Claim, Claimed, State};

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
                });
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
                };
                self.claims.insert(*claim, granted);
            }
            Event::ClaimCalled { claim, .. } | Event::ClaimReleased { claim } => {
                self.claims.remove(claim);
            }
            _ => {}
        }
    }
}
