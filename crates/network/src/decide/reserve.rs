//! Reservations: capacity asked for from a time on and before another.

use remuda_ledger::Account;
use remuda_placement::{Fleet, Placement, Replicas, Request};
use remuda_types::{ClaimId, Money, ProjectId, ReplicaId, Span, Time, WorkloadId};

use super::demand::known_project;
use super::deploy;
use super::draft::Draft;
use super::lease::{self, Grant};
use super::observe::end_workload_if_idle;
use super::seek::{Standby, seek};
use super::standby;
use crate::event::Event;
use crate::index::Named;
use crate::refusal::Refusal;
use crate::state::{EndReason, Reservation, ReservationEnd, Terms};

/// From when on, and before when.
pub(super) type Interval = (Time, Time);

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
    if terms.tier == remuda_types::Tier::Spot {
        let problem = "spot: what gives way cannot be reserved; choose another tier".to_owned();
        return Err(invalid("tier", problem));
    }
    let name = Named::Workload(project, terms.label);
    if draft.index.named(&name).is_some() {
        return Err(Refusal::NameTaken { kind: "workload" });
    }
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
    let is_short = to <= from || to.since(from) < policy.slice_min;
    if to > Time::LAST_WRITABLE || is_short {
        let problem = format!("it is to lie {} or more after `from`", policy.slice_min);
        return Err(invalid("to", problem));
    }
    if to.since(from) > policy.reserve_length_max {
        let problem = format!("over {} long: reserve less", policy.reserve_length_max);
        return Err(invalid("to", problem));
    }
    if from.since(draft.now) > policy.reserve_ahead_max {
        let problem = format!("over {} ahead: come back later", policy.reserve_ahead_max);
        return Err(invalid("from", problem));
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
/// free. Nothing is held when this returns.
fn places(
    draft: &mut Draft<'_>,
    terms: &Terms,
    replicas: u32,
    interval: Interval,
) -> Result<Vec<Placement>, Refusal> {
    let group = Replicas::new(replicas)?;
    let plain = terms.request()?;
    let mark = draft.mark();
    draft.index.settle();
    let mut gaps = draft.index.gaps(interval.0, interval.1);
    let (mut wanted, mut places) = (plain.clone(), Vec::<Placement>::new());
    while places.len() < replicas as usize {
        let Some(place) = next_place(draft, &mut gaps, &wanted, interval) else {
            draft.back_to(mark);
            let placed: Vec<_> = places.iter().map(|p| (p.provider, p.site)).collect();
            draft.index.settle();
            let gaps = draft.index.gaps_and_yielding(interval.0, interval.1);
            let fleets = (draft.index.fleet(), &gaps);
            let why = remuda_placement::why_not(fleets, &plain, &placed, group);
            return Err(Refusal::NoCapacity(Box::new(why)));
        };
        if terms.tier.spreads_owners() {
            wanted.avoid.owners.insert(place.provider);
            wanted.avoid.sites.insert(place.site);
        }
        places.push(place);
    }
    draft.back_to(mark);
    Ok(places)
}

/// The next place, held for the batch's later steps.
fn next_place(
    draft: &mut Draft<'_>,
    gaps: &mut Fleet,
    wanted: &Request,
    (from, to): Interval,
) -> Option<Placement> {
    let found = gap_or_free(draft, gaps, wanted)?;
    draft.book(&found, *wanted.shape(), (from, to));
    if gaps.offer(found.node).is_some() {
        // What was just booked there is seen by the next.
        draft.index.refresh_gap(gaps, found.node, (from, to));
    }
    Some(found)
}

/// A place for a claim of a reservation that lost its own.
pub(super) fn place_again(
    draft: &mut Draft<'_>,
    wanted: &Request,
    interval: Interval,
) -> Option<Placement> {
    draft.index.settle();
    let mut gaps = draft.index.gaps(interval.0, interval.1);
    gap_or_free(draft, &mut gaps, wanted)
}

/// A gap in what is booked, unless what is free costs less.
fn gap_or_free(draft: &mut Draft<'_>, gaps: &mut Fleet, wanted: &Request) -> Option<Placement> {
    let in_gap = remuda_placement::find(gaps, wanted);
    match (in_gap, standby::cheapest(draft, wanted)) {
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
    if reservation.begun || reservation.to <= draft.now {
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
        let wanted = lease::request(draft, id, terms, None)?;
        if seek(draft, &of, &wanted, Standby::First)?.is_none() {
            let retry = draft.now + draft.state.policy.replace_backoff;
            draft.push(Event::ReplicaUnplaced { replica, retry });
        }
    }
    Ok(())
}
