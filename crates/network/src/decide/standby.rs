//! Warm standbys: claims that a workload has for when a replica loses its node.

mod beside;
mod count;

use remuda_placement::{GpuSet, Placement, Request};
use remuda_types::{ClaimId, LeaseId, NodeKey, ReplicaId, Span, WorkloadId};

use super::draft::Draft;
use super::lease::{self, Grant};
use super::{gang, reserve, seek};
use crate::event::Event;
use crate::index::Held;
use crate::refusal::Refusal;
use crate::state::{Claim, Claimed, Terms};

pub(super) use count::{has_standbys, recount};

/// Whose claims are looked after: a workload that runs or is reserved.
#[derive(Clone, Copy)]
struct Whose<'a> {
    workload: WorkloadId,
    terms: &'a Terms,
    /// So many in all.
    replicas: u32,
}

impl<'a> Whose<'a> {
    /// As the state has it.
    fn known(draft: &Draft<'a>, id: WorkloadId) -> Option<Self> {
        let workload = draft.state.workloads.get(&id);
        let of = workload.map(|of| (&of.terms, of.replica_count()));
        let reservation = draft.state.reservations.get(&id);
        let reserved = reservation.map(|of| (&of.terms, of.replicas));
        let (terms, replicas) = of.or(reserved)?;
        Some(Self {
            workload: id,
            terms,
            replicas,
        })
    }

    /// What placement is asked for one more of its replicas.
    fn request(&self, draft: &Draft<'_>) -> Option<Request> {
        let of = (self.workload, self.terms);
        lease::request(draft, of, self.replicas, None).ok()
    }
}

/// Grants a lease where the workload has a claim; says nothing where it has none that can be
/// called. A refusal is about money, and nothing was done then.
pub(super) fn call(
    draft: &mut Draft<'_>,
    of: &Grant<'_>,
    wanted: &Request,
) -> Result<Option<LeaseId>, Refusal> {
    let mut last = None;
    while let Some((id, place)) = next_callable(draft, &mut last, (of.workload, wanted)) {
        let mark = draft.mark();
        let placement = if draft.state.reservations.contains_key(&of.workload) {
            begun(draft, id, &place, of.replica)
        } else {
            called(draft, id, &place)
        };
        if let Some(placement) = placement {
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

/// The next claim of a workload that will do, the longest held first.
fn next_callable(
    draft: &Draft<'_>,
    last: &mut Option<Held>,
    (workload, wanted): (WorkloadId, &Request),
) -> Option<(ClaimId, Claimed)> {
    while let Some((id, place)) = draft.next_idle(workload, *last) {
        *last = Some((place.at, id));
        if will_do(draft, &place, wanted) {
            return Some((id, place));
        }
    }
    None
}

fn will_do(draft: &Draft<'_>, place: &Claimed, wanted: &Request) -> bool {
    draft.index.fleet.is_open(place.node) == Some(true)
        && place.shape == *wanted.shape()
        && gang::is_there(draft, wanted, place.node)
        && !wanted.avoid.nodes.contains(&place.node)
        && !wanted.keeps_off(place.provider, place.site)
}

/// Begins a lease on the next of a reservation's claims that will do, after the last that was looked at;
/// says nothing where none does. One that is passed over does for no later replica either: they avoid
/// what this one does, and more.
pub(super) fn begin_next(
    draft: &mut Draft<'_>,
    last: &mut Option<Held>,
    of: &Grant<'_>,
    wanted: &Request,
) -> Result<Option<LeaseId>, Refusal> {
    while let Some((id, place)) = next_callable(draft, last, (of.workload, wanted)) {
        if let Some(placement) = begun(draft, id, &place, of.replica) {
            return lease::grant(draft, of, &placement).map(Some);
        }
    }
    Ok(None)
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

/// Gives a standby up for the lease that follows; spot is out of its way.
fn called(draft: &mut Draft<'_>, id: ClaimId, place: &Claimed) -> Option<Placement> {
    draft.push(Event::ClaimCalled {
        claim: id,
        at: draft.now,
    });
    draft.unclaim(id, place);
    let gpus = seek::clear(draft, place.node, &place.shape)?;
    placement(draft, place, gpus)
}

/// Gives what is booked by a claim to the lease that follows; spot is out of its way. It is kept
/// for when that ends before its time. Nothing is done where there is no room.
fn begun(
    draft: &mut Draft<'_>,
    id: ClaimId,
    place: &Claimed,
    replica: ReplicaId,
) -> Option<Placement> {
    draft.begin(id, place);
    let cleared = seek::clear_on(draft, place.node, (&place.shape, place.gpus()));
    let placement = cleared.and_then(|()| placement(draft, place, place.gpus()));
    if placement.is_some() {
        draft.push(Event::ClaimBegun { claim: id, replica });
    } else {
        draft.begin_not(id, place);
    }
    placement
}

fn placement(draft: &Draft<'_>, place: &Claimed, gpus: GpuSet) -> Option<Placement> {
    let offer = draft.index.fleet.offer(place.node)?;
    Some(Placement {
        node: place.node,
        site: place.site,
        provider: place.provider,
        gpus,
        price: remuda_placement::quote(&offer, &place.shape),
    })
}

/// Gives up every claim on a node that is no longer to be counted on. Others are looked for when
/// the batch is done.
pub(super) fn vacate(draft: &mut Draft<'_>, node: NodeKey) {
    let claims = draft.index.claims.on(node);
    let mut claims: Vec<_> = claims.filter(|id| !draft.disposed_of(*id)).collect();
    // What leases still have goes last: others may be booked in its place for later.
    claims.sort_by_key(|id| draft.has_begun(*id));
    for id in claims {
        let Some(claim) = draft.state.claims.get(&id) else {
            continue;
        };
        let Some(place) = &claim.place else { continue };
        give_up(draft, id, (claim.workload, place));
        draft.vacated(claim.workload, id);
    }
}

/// Gives up the place of a claim. Another is looked for.
fn give_up(draft: &mut Draft<'_>, id: ClaimId, (workload, place): (WorkloadId, &Claimed)) {
    let retry = draft.now + draft.state.policy.replace_backoff;
    draft.push(Event::ClaimSought {
        claim: id,
        workload,
        retry,
    });
    draft.unclaim(id, place);
}

/// A claim without a node is due: it gets one, or waits for the next attempt.
pub(super) fn due(draft: &mut Draft<'_>, id: ClaimId) {
    let Some(claim) = draft.state.claims.get(&id) else {
        return;
    };
    let Some(of) = Whose::known(draft, claim.workload) else {
        return;
    };
    if draft.disposed_of(id) || draft.recounts(claim.workload) || claim.place.is_some() {
        return;
    }
    // Who was tried out of turn keeps its turn.
    let is_its_turn = claim.retry.is_none_or(|retry| retry <= draft.now);
    if !claim_node(draft, id, of) && is_its_turn {
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
fn claim_node(draft: &mut Draft<'_>, id: ClaimId, of: Whose<'_>) -> bool {
    let found = find(draft, of);
    if let Some(found) = &found {
        keep(draft, id, of, found);
    }
    found.is_some()
}

/// Keeps capacity for a claim.
fn keep(draft: &mut Draft<'_>, id: ClaimId, of: Whose<'_>, place: &Placement) {
    draft.push(Event::ClaimGranted {
        claim: id,
        workload: of.workload,
        node: place.node,
        shape: of.terms.shape,
        gpu_bits: place.gpus.bits(),
        at: draft.now,
    });
    draft.claim((id, of.workload), place, of.terms.shape);
}

/// A node for a claim: with an owner and on a site that the workload has nothing with, or at least
/// on another node than all it has.
fn find(draft: &mut Draft<'_>, of: Whose<'_>) -> Option<Placement> {
    if let Some(reservation) = draft.state.reservations.get(&of.workload) {
        let interval = (reservation.from, reservation.to);
        let wanted = reserved_request(draft, of)?;
        return reserve::place_again(draft, wanted, (reservation.replicas, interval));
    }
    let (apart, near) = away(draft, of)?;
    cheapest(draft, &apart).or_else(|| near_replicas(draft, near))
}

/// A node for a standby that is not apart from all replicas: with an owner and at a site that may
/// have another one of them, or at least of use when one of theirs is lost.
fn near_replicas(draft: &mut Draft<'_>, mut near: Request) -> Option<Placement> {
    cheapest(draft, &near).or_else(|| {
        let spread = std::mem::take(&mut near.spread);
        (spread != near.spread).then(|| cheapest(draft, &near))?
    })
}

/// What placement is asked for a standby: with another owner and on another site than the leases of
/// the workload are, and at least on another node than all it has.
fn away(draft: &Draft<'_>, of: Whose<'_>) -> Option<(Request, Request)> {
    let workload = of.workload;
    let mut near = of.request(draft)?;
    let mut apart = near.clone();
    let leases = draft.live_leases(workload);
    let leases = leases.map(|(_, lease)| (lease.node, lease.provider, lease.site));
    let granted = draft.granted_to(workload);
    let granted = granted.map(|granted| (granted.node, granted.provider, granted.site));
    for (node, owner, site) in leases.chain(granted) {
        near.avoid.nodes.insert(node);
        apart.avoid.owners.insert(owner);
        apart.avoid.sites.insert(site);
    }
    let claims = held(draft, workload).map(|(_, place)| place.node);
    let claims = claims.chain(draft.claimed_for(workload));
    near.avoid.nodes.extend(claims);
    apart.avoid.nodes.clone_from(&near.avoid.nodes);
    Some((apart, near))
}

/// What placement is asked for another place of a reservation: away from who has as many as its
/// terms allow.
fn reserved_request(draft: &Draft<'_>, of: Whose<'_>) -> Option<Request> {
    let mut wanted = of.request(draft)?;
    if wanted.spreads() {
        for (_, place) in held(draft, of.workload) {
            wanted.siblings.add(place.provider, place.site);
        }
        let nodes = draft.claimed_for(of.workload);
        let offers = nodes.filter_map(|node| draft.index.fleet.offer(node));
        for offer in offers {
            wanted.siblings.add(offer.provider, offer.site);
        }
    }
    Some(wanted)
}

/// The cheapest node that has room beside what was sold under a promise; of two that cost the same
/// the one that spot is on, so that what is free stays free.
pub(super) fn cheapest(draft: &mut Draft<'_>, wanted: &Request) -> Option<Placement> {
    let index = &mut *draft.index;
    let yielding = remuda_placement::find(&mut index.layers.yielding, wanted);
    let free = remuda_placement::find(index.fleet.now(), wanted);
    match (yielding, free) {
        (Some(yielding), Some(free)) if free.price < yielding.price => Some(free),
        (yielding, free) => yielding.or(free),
    }
}

/// Lets go of a claim that is not needed any more.
pub(super) fn release(draft: &mut Draft<'_>, id: ClaimId) {
    draft.push(Event::ClaimReleased { claim: id });
    let place = draft.state.claims.get(&id).and_then(|claim| claim.place);
    match place.filter(|_| !draft.disposed_of(id)) {
        Some(place) => draft.unclaim(id, &place),
        None => draft.dispose_of(id),
    }
}
