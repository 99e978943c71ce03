//! How many claims a workload is to have, and what becomes of those that it has.

use std::collections::{BTreeMap, BTreeSet};

use remuda_types::{ClaimId, Tier, WorkloadId};

use super::{Whose, beside, claim_node, release};
use crate::decide::draft::Draft;
use crate::decide::reserve;
use crate::event::Event;
use crate::state::{Reservation, ReservationEnd, Terms};

/// Brings the claims of workloads that this batch touched to the number that is due: when all its
/// replicas have found their nodes, for these go first.
pub(in crate::decide) fn recount(draft: &mut Draft<'_>) {
    let mut touched = draft.take_recounts();
    touched.retain(|workload, vacated| !vacated.is_empty() || may_have_claims(draft, *workload));
    if touched.is_empty() {
        return;
    }
    let batch = Batch::of(draft, &touched);
    let mut searches = 0;
    for (workload, vacated) in touched {
        if let Some(reservation) = draft.state.reservations.get(&workload) {
            recount_reserved(
                draft,
                workload,
                reservation,
                (&vacated, &batch),
                &mut searches,
            );
            continue;
        }
        let known = draft.state.workloads.get(&workload);
        let terms = batch.deployed.get(&workload);
        let Some(terms) = terms
            .cloned()
            .or_else(|| known.map(|known| known.terms.clone()))
        else {
            continue;
        };
        let running = known.is_none_or(|known| !known.stopping) && !batch.over.contains(&workload);
        let has = known.map_or(0, |known| known.replicas.len());
        let replicas = has.saturating_add_signed(batch.change(workload));
        let due = if running {
            due_for(draft, terms.tier, replicas)
        } else {
            0
        };
        let of = Whose {
            workload,
            terms: &terms,
            replicas: u32::try_from(replicas).unwrap_or(u32::MAX),
        };
        bring_to(draft, of, &vacated, due);
    }
}

/// What lost its node before the reservation begins gets another; later its replica has found one.
/// A reservation whose workload has ended is over: not before, for others may be booked after it in
/// what its leases still have.
fn recount_reserved(
    draft: &mut Draft<'_>,
    id: WorkloadId,
    reservation: &Reservation,
    (vacated, batch): (&BTreeSet<ClaimId>, &Batch),
    searches: &mut usize,
) {
    if batch.ended.contains(&id) {
        return;
    }
    if batch.gone.contains(&id) {
        reserve::end(draft, id, reservation, ReservationEnd::Cancelled);
        return;
    }
    let begun = reservation.begun || batch.deployed.contains_key(&id);
    for claim in vacated {
        if begun {
            draft.push(Event::ClaimReleased { claim: *claim });
        } else if *searches < reserve::SEARCHES_AT_ONCE {
            *searches += 1;
            let of = Whose {
                workload: id,
                terms: &reservation.terms,
                replicas: reservation.replicas,
            };
            claim_node(draft, *claim, of);
        }
    }
}

/// Whether a workload has claims, or may be to have some.
fn may_have_claims(draft: &Draft<'_>, id: WorkloadId) -> bool {
    let known = draft.state.workloads.get(&id);
    known.is_none_or(|known| has_standbys(draft, known.terms.tier))
        || draft.state.reservations.contains_key(&id)
        || draft.index.claims.of(id).next().is_some()
}

/// Whether workloads of this tier are to have standbys.
pub(in crate::decide) fn has_standbys(draft: &Draft<'_>, tier: Tier) -> bool {
    due_for(draft, tier, 1) > 0
}

/// How many claims a workload of so many replicas is to have.
fn due_for(draft: &Draft<'_>, tier: Tier, replicas: usize) -> usize {
    let each = draft.state.policy.replicas_per_standby as usize;
    match tier {
        Tier::Enterprise if each > 0 => replicas.div_ceil(each),
        Tier::Spot | Tier::Standard | Tier::Enterprise | Tier::MultiSite => 0,
    }
}

fn bring_to(draft: &mut Draft<'_>, of: Whose<'_>, vacated: &BTreeSet<ClaimId>, due: usize) {
    let claims = draft.index.claims.of(of.workload);
    let mut claims: Vec<_> = claims
        .filter(|id| vacated.contains(id) || !draft.disposed_of(*id))
        .collect();
    // Those that have no node go first, then the youngest.
    claims.sort_by_key(|id| {
        let place = draft.state.claims.get(id).and_then(|claim| claim.place);
        let since = place
            .filter(|_| !vacated.contains(id))
            .map(|place| place.at);
        (since.is_none(), since, *id)
    });
    for id in claims.drain(claims.len().min(due)..) {
        release(draft, id);
    }
    beside::move_away(draft, of);
    let have = claims.len();
    let mut again: Vec<_> = claims
        .into_iter()
        .filter(|id| vacated.contains(id))
        .collect();
    for _ in have..due {
        again.push(ClaimId::derived(draft.id, draft.ordinal()));
    }
    for id in again {
        if !claim_node(draft, id, of) && !vacated.contains(&id) {
            draft.push(Event::ClaimSought {
                claim: id,
                workload: of.workload,
                retry: draft.now + draft.state.policy.replace_backoff,
            });
        }
    }
}

/// What a batch does to the workloads that it touches.
#[derive(Default)]
struct Batch {
    deployed: BTreeMap<WorkloadId, Terms>,
    over: BTreeSet<WorkloadId>,
    gone: BTreeSet<WorkloadId>,
    /// Reservations that are over.
    ended: BTreeSet<WorkloadId>,
    changes: BTreeMap<WorkloadId, isize>,
}

impl Batch {
    fn of(draft: &Draft<'_>, touched: &BTreeMap<WorkloadId, BTreeSet<ClaimId>>) -> Self {
        let mut batch = Self::default();
        let mut change = |workload: WorkloadId, by: isize| {
            if touched.contains_key(&workload) {
                *batch.changes.entry(workload).or_default() += by;
            }
        };
        for event in draft.events() {
            match event {
                Event::ReplicaAdded { workload, .. } => change(*workload, 1),
                Event::ReplicaRemoved { replica } => {
                    if let Some(replica) = draft.state.replicas.get(replica) {
                        change(replica.workload, -1);
                    }
                }
                Event::WorkloadAccepted {
                    workload, terms, ..
                } => {
                    batch.deployed.insert(*workload, (**terms).clone());
                }
                Event::WorkloadStopping { workload } => {
                    batch.over.insert(*workload);
                }
                Event::WorkloadEnded { workload } => {
                    batch.over.insert(*workload);
                    batch.gone.insert(*workload);
                }
                Event::ReservationEnded { workload, .. } => {
                    batch.ended.insert(*workload);
                }
                _ => {}
            }
        }
        batch
    }

    fn change(&self, workload: WorkloadId) -> isize {
        self.changes.get(&workload).copied().unwrap_or_default()
    }
}
