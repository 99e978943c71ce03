//! Warm standbys: claims that a workload has for when a replica loses its node.

use std::collections::{BTreeMap, BTreeSet};

use remuda_placement::{Placement, Request};
use remuda_types::{ClaimId, LeaseId, NodeKey, Span, Tier, WorkloadId};

use super::draft::Draft;
use super::lease::{self, Grant};
use super::seek;
use crate::event::Event;
use crate::refusal::Refusal;
use crate::state::{Claim, Claimed, Terms};

/// Grants a lease where the workload has a claim; says nothing where it has none that can be
/// called. A refusal is about money, and nothing was done then.
pub(super) fn call(
    draft: &mut Draft<'_>,
    of: &Grant<'_>,
    wanted: &Request,
) -> Result<Option<LeaseId>, Refusal> {
    for (id, place) in callable(draft, of.workload, wanted) {
        let mark = draft.mark();
        draft.push(Event::ClaimCalled {
            claim: id,
            at: draft.now,
        });
        draft.unclaim(id, &place);
        if let Some(placement) = cleared(draft, &place, wanted) {
            let granted = lease::grant(draft, of, &placement);
            if granted.is_err() {
                draft.back_to(mark);
            }
            return granted.map(Some);
        }
        draft.back_to(mark);
    }
    Ok(None)
}

/// The claims of a workload that will do, the longest held first.
fn callable(draft: &Draft<'_>, workload: WorkloadId, wanted: &Request) -> Vec<(ClaimId, Claimed)> {
    let will_do = |place: &Claimed| {
        let avoid = &wanted.avoid;
        draft.index.fleet.is_open(place.node) == Some(true)
            && place.shape == *wanted.shape()
            && !avoid.nodes.contains(&place.node)
            && !avoid.owners.contains(&place.provider)
            && !avoid.sites.contains(&place.site)
    };
    let claims = held(draft, workload);
    let mut claims: Vec<_> = claims.filter(|(_, place)| will_do(place)).collect();
    claims.sort_by_key(|(id, place)| (place.at, *id));
    claims
}

/// The claims of a workload that have a node, those of which this batch disposed left out.
fn held<'d>(
    draft: &'d Draft<'_>,
    workload: WorkloadId,
) -> impl Iterator<Item = (ClaimId, Claimed)> + 'd {
    let claims = draft.index.claims.of(workload);
    let claims = claims.filter(|id| !draft.disposed_of(*id));
    claims.filter_map(|id| Some((id, draft.state.claims.get(&id)?.place?)))
}

/// The node of a claim that was just given up, spot out of the way.
fn cleared(draft: &mut Draft<'_>, place: &Claimed, wanted: &Request) -> Option<Placement> {
    let offer = draft.index.fleet.offer(place.node)?;
    Some(Placement {
        node: place.node,
        site: place.site,
        provider: place.provider,
        gpus: seek::clear(draft, place.node, wanted.shape())?,
        price: remuda_placement::quote(&offer, wanted.shape()),
    })
}

/// Gives up every claim on a node that is no longer to be counted on. Others are looked for when
/// the batch is done.
pub(super) fn vacate(draft: &mut Draft<'_>, node: NodeKey) {
    let claims = draft.index.claims.on(node);
    let claims: Vec<_> = claims.filter(|id| !draft.disposed_of(*id)).collect();
    for id in claims {
        let Some(claim) = draft.state.claims.get(&id) else {
            continue;
        };
        let Some(place) = &claim.place else { continue };
        let retry = draft.now + draft.state.policy.replace_backoff;
        draft.push(Event::ClaimSought {
            claim: id,
            workload: claim.workload,
            retry,
        });
        draft.unclaim(id, place);
        draft.vacated(claim.workload, id);
    }
}

/// A claim without a node is due: it gets one, or waits for the next attempt.
pub(super) fn due(draft: &mut Draft<'_>, id: ClaimId) {
    let Some(claim) = draft.state.claims.get(&id) else {
        return;
    };
    let Some(workload) = draft.state.workloads.get(&claim.workload) else {
        return;
    };
    if draft.disposed_of(id) || draft.recounts(claim.workload) || claim.place.is_some() {
        return;
    }
    if !claim_node(draft, id, (claim.workload, &workload.terms)) {
        let retry = draft.now + backoff(draft, claim);
        draft.push(Event::ClaimSought {
            claim: id,
            workload: claim.workload,
            retry,
        });
    }
}

/// Doubles with every attempt, up to the policy's longest.
fn backoff(draft: &Draft<'_>, claim: &Claim) -> Span {
    let policy = &draft.state.policy;
    let first = policy.replace_backoff;
    let doubled = first
        .as_millis()
        .saturating_mul(1 << claim.attempts.min(20));
    let longest = policy.standby_retry_max.max(first);
    Span::from_millis(doubled).min(longest)
}

/// Finds a node for a claim and keeps its capacity; says whether there was one.
fn claim_node(draft: &mut Draft<'_>, id: ClaimId, of: (WorkloadId, &Terms)) -> bool {
    let Some(found) = find(draft, of) else {
        return false;
    };
    draft.push(Event::ClaimGranted {
        claim: id,
        workload: of.0,
        node: found.node,
        shape: of.1.shape,
        gpu_bits: found.gpus.bits(),
        at: draft.now,
    });
    draft.claim((id, of.0), &found, of.1.shape);
    true
}

/// A node for a claim: with an owner and on a site that the workload has nothing with, or at least
/// on another node than all it has.
fn find(draft: &mut Draft<'_>, (workload, terms): (WorkloadId, &Terms)) -> Option<Placement> {
    let mut near = lease::request(draft, workload, terms, None).ok()?;
    let mut apart = near.clone();
    let leases = draft.live_leases(workload);
    let leases = leases.map(|(_, lease)| (lease.node, lease.provider, lease.site));
    let granted = draft.granted_to(workload);
    let granted = granted.map(|granted| (granted.node, granted.provider, granted.site));
    for (node, owner, site) in leases.chain(granted).collect::<Vec<_>>() {
        near.avoid.nodes.insert(node);
        apart.avoid.owners.insert(owner);
        apart.avoid.sites.insert(site);
    }
    let claims = held(draft, workload).map(|(_, place)| place.node);
    let claims = claims.chain(draft.claimed_for(workload));
    near.avoid.nodes.extend(claims);
    apart.avoid.nodes.clone_from(&near.avoid.nodes);
    cheapest(draft, &apart).or_else(|| cheapest(draft, &near))
}

/// The cheapest node that has room beside what was sold under a promise; of two that cost the same
/// the one that spot is on, so that what is free stays free.
fn cheapest(draft: &mut Draft<'_>, wanted: &Request) -> Option<Placement> {
    let index = &mut *draft.index;
    let yielding = remuda_placement::find(&mut index.layers.yielding, wanted);
    let free = remuda_placement::find(index.fleet.now(), wanted);
    match (yielding, free) {
        (Some(yielding), Some(free)) if free.price < yielding.price => Some(free),
        (yielding, free) => yielding.or(free),
    }
}

/// Brings the claims of workloads that this batch touched to the number that is due: when all its
/// replicas have found their nodes, for these go first.
pub(super) fn recount(draft: &mut Draft<'_>) {
    let touched = draft.take_recounts();
    if touched.is_empty() {
        return;
    }
    let batch = Batch::of(draft, &touched);
    for (workload, vacated) in touched {
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
        bring_to(draft, (workload, &terms), &vacated, due);
    }
}

/// How many claims a workload of so many replicas is to have.
fn due_for(draft: &Draft<'_>, tier: Tier, replicas: usize) -> usize {
    let each = draft.state.policy.replicas_per_standby as usize;
    match tier {
        Tier::Enterprise if each > 0 => replicas.div_ceil(each),
        Tier::Spot | Tier::Standard | Tier::Enterprise | Tier::MultiSite => 0,
    }
}

fn bring_to(
    draft: &mut Draft<'_>,
    of: (WorkloadId, &Terms),
    vacated: &BTreeSet<ClaimId>,
    due: usize,
) {
    let claims = draft.index.claims.of(of.0);
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
        release(draft, id, vacated.contains(&id));
    }
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
                workload: of.0,
                retry: draft.now + draft.state.policy.replace_backoff,
            });
        }
    }
}

/// Lets go of a claim that is not needed any more.
fn release(draft: &mut Draft<'_>, id: ClaimId, vacated: bool) {
    draft.push(Event::ClaimReleased { claim: id });
    let place = draft.state.claims.get(&id).and_then(|claim| claim.place);
    if let Some(place) = place.filter(|_| !vacated) {
        draft.unclaim(id, &place);
    }
}

/// What a batch does to the workloads that it touches.
#[derive(Default)]
struct Batch {
    deployed: BTreeMap<WorkloadId, Terms>,
    over: BTreeSet<WorkloadId>,
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
                Event::WorkloadStopping { workload } | Event::WorkloadEnded { workload } => {
                    batch.over.insert(*workload);
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
