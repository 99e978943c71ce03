//! Reservations: capacity asked for from a time on and before another.

use std::borrow::Cow;

use remuda_ledger::Account;
use remuda_placement::{Cell, Placement, Replicas, Request};
use remuda_types::{ClaimId, Money, ProjectId, ReplicaId, Span, Tier, Time, Together, WorkloadId};

use super::demand::known_project;
use super::deploy;
use super::draft::Draft;
use super::gang;
use super::lease::{self, Grant};
use super::observe::end_workload_if_idle;
use super::seek::{Standby, seek};
use super::standby;
use crate::event::Event;
use crate::index::{Due, Held, Interval};
use crate::refusal::{Refusal, Room};
use crate::state::{EndReason, Reservation, ReservationEnd, State, Terms};

/// So many replicas of reservations one tick begins at most, and so many it ends: their leases come and
/// go together, however many reservations they are of, and all others wait.
const REPLICAS_AT_ONCE: u32 = 1_000;

/// For so many bookings that lost their node another is looked for in one batch; for the rest in later
/// ones. Each may see other gaps.
pub(super) const SEARCHES_AT_ONCE: usize = 50;

pub(super) fn reserve(
    draft: &mut Draft<'_>,
    project: ProjectId,
    terms: &Terms,
    replicas: u32,
    (from, to): Interval,
) -> Result<(), Refusal> {
    known_project(draft.state, project)?;
    deploy::check_replicas(draft, replicas)?;
    deploy::check_room(draft, project)?;
    check_interval(draft, (from, to))?;
    terms.check_shares()?;
    if terms.tier == Tier::Spot {
        let problem = "spot: what gives way cannot be reserved; choose another tier".to_owned();
        return Err(invalid("tier", problem));
    }
    deploy::check_name(draft, project, terms.label)?;
    let workload = WorkloadId::derived(draft.id, 0);
    let places = places(draft, terms, replicas, (from, to))?;
    check_budget(draft, project, &places, to.since(from))?;
    let dearest = places.iter().map(|place| place.price).max();
    let terms = Terms {
        max_price: dearest.map(|price| terms.max_price.map_or(price, |max| max.min(price))),
        ..terms.clone()
    };
    let shape = terms.shape;
    draft.push(Event::ReservationMade {
        workload,
        project,
        terms: Box::new(terms),
        replicas,
        from,
        to,
        at: draft.now,
    });
    for place in places {
        let claim = ClaimId::derived(draft.id, draft.ordinal());
        draft.push(Event::ClaimGranted {
            claim,
            workload,
            node: place.node,
            shape,
            gpu_bits: place.gpus.bits(),
            at: draft.now,
        });
    }
    Ok(())
}

fn invalid(field: &'static str, problem: String) -> Refusal {
    Refusal::Invalid { field, problem }
}

fn check_interval(draft: &Draft<'_>, (from, to): Interval) -> Result<(), Refusal> {
    let policy = &draft.state.policy;
    if from < draft.now {
        let problem = "it lies in the past: deploy what is wanted at once".to_owned();
        return Err(invalid("from", problem));
    }
    if from > Time::LAST_WRITABLE || from.since(draft.now) > policy.reserve_ahead_max {
        let most = policy.reserve_ahead_max.in_words();
        return Err(invalid(
            "from",
            format!("over {most} ahead: come back later"),
        ));
    }
    if to <= from || to.since(from) < policy.slice_min {
        let least = policy.slice_min.in_words();
        let problem = format!("{least} or more after the beginning is expected");
        return Err(invalid("to", problem));
    }
    if to > Time::LAST_WRITABLE || to.since(from) > policy.reserve_length_max {
        let most = policy.reserve_length_max.in_words();
        return Err(invalid("to", format!("over {most} long: reserve less")));
    }
    Ok(())
}

/// Who keeps capacity from others can pay for its beginning, as things are now.
fn check_budget(
    draft: &Draft<'_>,
    project: ProjectId,
    places: &[Placement],
    lasts: Span,
) -> Result<(), Refusal> {
    let first = draft.state.policy.slice.min(lasts);
    let prices = places.iter().map(|place| place.price.for_span(first));
    let needed = prices.fold(Money::ZERO, Money::saturating_add);
    let available = draft.available(Account::ProjectBudget(project));
    if available >= needed {
        return Ok(());
    }
    Err(Refusal::BudgetExhausted { available, needed })
}

/// A place for each replica, all or none: first in what is booked at other times, then in what is
/// free. Nothing is held when this returns. Why there is no room is left to whoever asks.
fn places(
    draft: &mut Draft<'_>,
    terms: &Terms,
    replicas: u32,
    interval: Interval,
) -> Result<Vec<Placement>, Refusal> {
    let (group, plain) = (Replicas::new(replicas)?, terms.request(replicas)?);
    let found = if plain.together == Together::Fabric {
        places_on_one_fabric(draft, &plain, group, interval)
    } else {
        all_places(draft, &plain, replicas, interval)
    };
    let (from, to) = interval;
    found.ok_or_else(|| deploy::no_room(terms, replicas, Room::Within { from, to }))
}

/// A place for each of a gang, on the first fabric that has room for all.
fn places_on_one_fabric(
    draft: &mut Draft<'_>,
    plain: &Request,
    group: Replicas,
    interval: Interval,
) -> Option<Vec<Placement>> {
    let mut there = plain.clone();
    for fabric in fabrics(draft, plain, group, interval) {
        there.fabric = Some(fabric);
        let found = all_places(draft, &there, group.get(), interval);
        if found.is_some() {
            return found;
        }
    }
    None
}

/// A place for each replica, all or none. Nothing is held when this returns.
fn all_places(
    draft: &mut Draft<'_>,
    plain: &Request,
    replicas: u32,
    interval: Interval,
) -> Option<Vec<Placement>> {
    let mark = draft.mark();
    let places = places_up_to(draft, plain, replicas, interval);
    draft.back_to(mark);
    (places.len() == replicas as usize).then_some(places)
}

/// Places for so many replicas, or for as many as have room; each is held.
fn places_up_to(
    draft: &mut Draft<'_>,
    request: &Request,
    replicas: u32,
    interval: Interval,
) -> Vec<Placement> {
    let (mut wanted, mut places) = (request.clone(), Vec::new());
    while places.len() < replicas as usize {
        let Some(place) = gap_or_free(draft, &wanted, interval) else {
            break;
        };
        draft.book(&place, *wanted.shape(), interval);
        if request.spreads() {
            wanted.siblings.add(place.provider, place.site);
        }
        places.push(place);
    }
    places
}

/// A place for a claim of a reservation of so many replicas that lost its own.
pub(super) fn place_again(
    draft: &mut Draft<'_>,
    mut wanted: Request,
    (replicas, interval): (u32, Interval),
) -> Option<Placement> {
    if wanted.together == Together::Fabric && wanted.fabric.is_none() {
        let group = Replicas::new(replicas).ok()?;
        wanted.fabric = fabrics(draft, &wanted, group, interval).into_iter().next();
        wanted.fabric?;
    }
    gap_or_free(draft, &wanted, interval)
}

/// The fabrics that have room for all of a gang in an interval.
fn fabrics(
    draft: &mut Draft<'_>,
    wanted: &Request,
    group: Replicas,
    interval: Interval,
) -> Vec<Cell> {
    draft.index.settle();
    let gaps = draft.index.gaps_and_yielding(interval);
    remuda_placement::fabrics_with_room((draft.index.fleet(), &gaps), wanted, group)
}

/// A gap in what is booked, unless what is free costs less; on no node that has all the bookings that
/// it may.
fn gap_or_free(draft: &mut Draft<'_>, wanted: &Request, interval: Interval) -> Option<Placement> {
    let mut wanted = Cow::Borrowed(wanted);
    let booked_up = draft.index.layers.booked_up();
    if !booked_up.is_empty() {
        wanted
            .to_mut()
            .avoid
            .nodes
            .extend(booked_up.iter().copied());
    }
    let in_gap = draft.index.find_gap(&wanted, interval);
    match (in_gap, standby::cheapest(draft, &wanted)) {
        (Some(in_gap), Some(free)) if free.price < in_gap.price => Some(free),
        (in_gap, free) => in_gap.or(free),
    }
}

pub(super) fn cancel(draft: &mut Draft<'_>, id: WorkloadId) -> Result<(), Refusal> {
    let Some(reservation) = draft.state.reservations.get(&id) else {
        return Err(Refusal::not_found("reservation", id));
    };
    if reservation.begun {
        return Err(Refusal::WrongState {
            kind: "the reservation",
            state: "begun",
            way_out: "stop its workload",
        });
    }
    end(draft, id, reservation, ReservationEnd::Cancelled);
    Ok(())
}

/// Lets go of all that is kept for a reservation.
pub(super) fn end(
    draft: &mut Draft<'_>,
    id: WorkloadId,
    reservation: &Reservation,
    how: ReservationEnd,
) {
    for claim in &reservation.claims {
        standby::release(draft, *claim);
    }
    draft.push(Event::ReservationEnded {
        workload: id,
        end: how,
        at: draft.now,
    });
}

/// A reservation is to begin, or its time is over.
pub(super) fn due(draft: &mut Draft<'_>, id: WorkloadId) {
    let Some(reservation) = draft.state.reservations.get(&id) else {
        return;
    };
    if draft.recounts(id) {
        return;
    }
    if is_over(reservation, draft.now) {
        over(draft, id, reservation);
        return;
    }
    let mark = draft.mark();
    if begin(draft, id, reservation).is_err() {
        draft.back_to(mark);
        end(draft, id, reservation, ReservationEnd::Lapsed);
    }
}

/// Whatever still runs ends: its time was known.
fn over(draft: &mut Draft<'_>, id: WorkloadId, reservation: &Reservation) {
    // What this very batch granted is not known to be there yet: the next one ends it.
    if draft.granted_to(id).next().is_some() {
        return;
    }
    let leases: Vec<_> = draft.live_leases(id).collect();
    for (lease_id, held) in leases {
        lease::end(draft, lease_id, held, EndReason::TermOver, draft.now);
    }
    end(draft, id, reservation, ReservationEnd::Over);
    if let Some(workload) = draft.state.workloads.get(&id) {
        if !workload.stopping {
            draft.push(Event::WorkloadStopping { workload: id });
        }
        end_workload_if_idle(draft, id);
    }
}

/// Deploys the workload on what is kept for it. A refusal is about money.
fn begin(draft: &mut Draft<'_>, id: WorkloadId, reservation: &Reservation) -> Result<(), Refusal> {
    let Reservation { project, terms, .. } = reservation;
    // What has no place finds one as any replica does.
    let placed = |id: &&ClaimId| {
        draft
            .state
            .claims
            .get(id)
            .is_some_and(|of| of.place.is_some())
    };
    let unplaced: Vec<_> = reservation.claims.iter().filter(|id| !placed(id)).collect();
    for claim in unplaced {
        standby::release(draft, *claim);
    }
    draft.push(Event::ReservationBegun {
        workload: id,
        at: draft.now,
    });
    draft.push(Event::WorkloadAccepted {
        workload: id,
        project: *project,
        terms: Box::new(terms.clone()),
        at: draft.now,
    });
    let mut last = None;
    let mut wanted = lease::request(draft, (id, terms), reservation.replicas, None)?;
    let may_go = gang::settle(draft, terms, reservation.replicas as usize, &mut wanted);
    for _ in 0..reservation.replicas {
        let replica = ReplicaId::derived(draft.id, draft.ordinal());
        draft.push(Event::ReplicaAdded {
            replica,
            workload: id,
        });
        let of = Grant {
            workload: id,
            project: *project,
            replica,
            terms,
            epoch: 0,
            succeeds: false,
        };
        begin_replica(draft, &of, (may_go, &mut last, &mut wanted))?;
    }
    Ok(())
}

/// Grants a lease to a replica on what is kept for it, or where there is room, or notes when to look
/// again; the next one is asked for with it counted. Of a gang that has room nowhere none
/// may go anywhere.
fn begin_replica(
    draft: &mut Draft<'_>,
    of: &Grant<'_>,
    (may_go, last, wanted): (bool, &mut Option<Held>, &mut Request),
) -> Result<(), Refusal> {
    let mut granted = None;
    if may_go {
        granted = standby::begin_next(draft, last, of, wanted)?;
    }
    if may_go && granted.is_none() {
        granted = seek(draft, of, wanted, Standby::Never)?;
    }
    if granted.is_none() {
        let retry = draft.now + draft.state.policy.replace_backoff;
        draft.push(Event::ReplicaUnplaced {
            replica: of.replica,
            retry,
        });
    }
    lease::count_in(draft, wanted, of.replica);
    Ok(())
}

/// Says of what is due, earliest first, what is for this tick, which looks at `limit` things or more.
///
/// What is to begin may be kept where something is over: it waits until all that is over has ended.
pub(super) fn at_once<'a>(draft: &Draft<'a>, limit: usize) -> impl FnMut(&Due) -> bool + use<'a> {
    let (state, now) = (draft.state, draft.now);
    let over = |item: Due| reservation(state, &item).filter(|of| is_over(of, now));
    let ends = draft.index.due(now).take(limit).filter_map(over);
    let ends = ends.fold(0_u32, |sum, of| sum.saturating_add(of.replicas));
    let mut late = draft.index.due(now).skip(limit).filter_map(over);
    let all_end = ends <= REPLICAS_AT_ONCE && late.next().is_none();
    let (mut ended, mut begun, mut searches) = (0, 0, 0);
    move |item| match reservation(state, item) {
        None if is_booking(state, item) => {
            searches += 1;
            searches <= SEARCHES_AT_ONCE
        }
        None => true,
        Some(of) if is_over(of, now) => takes_on(&mut ended, of),
        Some(of) => all_end && takes_on(&mut begun, of),
    }
}

/// Whether a booking is to find a node.
pub(super) fn is_booking(state: &State, item: &Due) -> bool {
    let Due::Claim(id) = item else { return false };
    let claim = state.claims.get(id);
    claim.is_some_and(|claim| state.reservations.contains_key(&claim.workload))
}

fn reservation<'a>(state: &'a State, item: &Due) -> Option<&'a Reservation> {
    match item {
        Due::Reservation(id) => state.reservations.get(id),
        _ => None,
    }
}

fn is_over(reservation: &Reservation, now: Time) -> bool {
    reservation.begun || reservation.to <= now
}

/// Counts the replicas of another one; says whether there is room for it, as for the first there is.
fn takes_on(replicas: &mut u32, another: &Reservation) -> bool {
    let is_first = *replicas == 0;
    *replicas = replicas.saturating_add(another.replicas);
    is_first || *replicas <= REPLICAS_AT_ONCE
}
