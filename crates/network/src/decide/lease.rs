//! Leases: granted, settled slice by slice, ended. `seek` finds the nodes.

use std::collections::BTreeSet;

use remuda_ledger::{Account, Entry, Purpose};
use remuda_placement::{Placement, Request, RequestError};
use remuda_types::{
    LeaseId, Money, NodeKey, Price, ProjectId, ReplicaId, Span, Tier, Time, TransferId, WorkloadId,
};

use super::charge;
use super::draft::Draft;
use super::gang;
use super::kin;
use super::seek::{Standby, seek};
use crate::event::{Charge, Event, Slice};
use crate::refusal::Refusal;
use crate::state::{EndReason, Lease, Meter, Phase, Replica, Terms, Workload};
use crate::terms::siblings;

/// What placement is asked for one more replica of a workload, so many in all: its terms, away from
/// who has as many as they allow, and on the fabric of its gang, the leases that this batch ends and
/// grants counted. `except` is where it is one that there is already: its own leases are not.
pub(super) fn request(
    draft: &Draft<'_>,
    (workload, terms): (WorkloadId, &Terms),
    replicas: u32,
    except: Option<ReplicaId>,
) -> Result<Request, RequestError> {
    let mut request = terms.request(replicas)?;
    if request.spreads() {
        let held = draft.leases_of(workload).map(|(_, of)| of);
        let held = held.map(|of| (of.replica, (of.provider, of.site)));
        let granted = draft.granted_to(workload);
        let granted = granted.map(|of| (of.replica, (of.provider, of.site)));
        let others = held.chain(granted);
        request.siblings = siblings(others.filter(|(replica, _)| Some(*replica) != except));
        request.shun = kin::shunned(draft, workload, except);
    }
    request.fabric = gang::fabric_of(draft, workload, terms, except);
    Ok(request)
}

/// The next of a workload's replicas is asked for with this one counted, if it was just granted a
/// lease.
pub(super) fn count_in(draft: &Draft<'_>, wanted: &mut Request, replica: ReplicaId) {
    if !wanted.spreads() {
        return;
    }
    if let Some(granted) = draft.grant_of(replica) {
        wanted.siblings.add(granted.provider, granted.site);
        let kin = draft.index.fleet.kin_of(granted.site);
        wanted.shun.extend(kin);
    }
}

/// What placement is asked for a replica that is to leave where it is, or has left it, away from
/// the given nodes.
pub(super) fn request_again(
    draft: &Draft<'_>,
    replica: ReplicaId,
    (workload, terms): (WorkloadId, &Terms),
    away_from: BTreeSet<NodeKey>,
) -> Option<Request> {
    let replicas = draft.state.workloads.get(&workload)?.replica_count();
    let mut wanted = request(draft, (workload, terms), replicas, Some(replica)).ok()?;
    wanted.avoid.nodes = away_from;
    Some(wanted)
}

/// What a grant is made of.
pub(super) struct Grant<'a> {
    pub(super) workload: WorkloadId,
    pub(super) project: ProjectId,
    pub(super) replica: ReplicaId,
    pub(super) terms: &'a Terms,
    pub(super) epoch: u64,
    pub(super) succeeds: bool,
}

/// Grants a lease where placement said, and reserves its first slice.
pub(super) fn grant(
    draft: &mut Draft<'_>,
    grant: &Grant<'_>,
    placement: &Placement,
) -> Result<LeaseId, Refusal> {
    let of = (grant.project, grant.workload);
    let (slice, reserve) = reserve_slice(draft, of, placement.price, draft.now)?;
    let lease = LeaseId::derived(draft.id, draft.ordinal());
    draft.push(Event::LeaseGranted {
        lease,
        replica: grant.replica,
        node: placement.node,
        shape: grant.terms.shape,
        price: placement.price,
        epoch: grant.epoch.saturating_add(1),
        at: draft.now,
        slice,
        succeeds: grant.succeeds,
        gpu_bits: placement.gpus.bits(),
    });
    draft.move_money(reserve.into_iter().collect());
    draft.hold(grant.workload, grant.replica, placement, grant.terms);
    if grant.terms.tier == Tier::Enterprise {
        // A standby may stand there.
        draft.recount(grant.workload);
    }
    Ok(lease)
}

/// Sets money aside for the next slice: a whole one, or as much as the budget pays for if that is
/// at least the policy's least.
fn reserve_slice(
    draft: &mut Draft<'_>,
    (project, workload): (ProjectId, WorkloadId),
    price: Price,
    from: Time,
) -> Result<(Slice, Option<Entry>), Refusal> {
    let policy = &draft.state.policy;
    // What was reserved ends at its time, and is not paid for beyond.
    let reservation = draft.state.reservations.get(&workload);
    let end = reservation.map_or(Time::FOREVER, |reservation| reservation.to);
    let whole = policy.slice.min(end.since(from));
    let least = policy.slice_min.min(whole);
    let hard_end = reservation.map_or(draft.now + policy.lease_term, |_| end);
    let available = draft.available(Account::ProjectBudget(project));
    let span = affordable(price, available, whole);
    if reservation.is_some() && whole == Span::ZERO {
        return Err(Refusal::WrongState {
            kind: "the reservation",
            state: "over",
            way_out: "reserve again",
        });
    }
    if span < least {
        return Err(Refusal::BudgetExhausted {
            available,
            needed: whole_micros(price, least),
        });
    }
    let (reserved, reservation) = (price.for_span(span), draft.transfer_id());
    let entry = (!reserved.is_zero()).then_some(Entry::Reserve {
        id: reservation,
        debit: Account::ProjectBudget(project),
        credit: Account::Settlement,
        amount: reserved,
        purpose: Purpose::LeaseSlice,
        expires: None,
    });
    Ok((
        Slice {
            reservation,
            reserved,
            end: from + span,
            hard_end,
        },
        entry,
    ))
}

/// What pays for `span` in full: the price, the last micro-dollar rounded up.
fn whole_micros(price: Price, span: Span) -> Money {
    let cost = price.for_span(span);
    if affordable(price, cost, span) < span {
        cost.saturating_add(Money::from_micros(1))
    } else {
        cost
    }
}

/// The longest part of `whole` that `available` pays for.
fn affordable(price: Price, available: Money, whole: Span) -> Span {
    if price.micros_per_hour() == 0 {
        return whole;
    }
    let micros = u128::try_from(available.as_micros()).unwrap_or_default();
    let hour = u128::from(Span::HOUR.as_millis());
    let millis = micros * hour / u128::from(price.micros_per_hour());
    Span::from_millis(u64::try_from(millis).unwrap_or(u64::MAX)).min(whole)
}

/// Pays for what accrued up to `meter.until`, out of the reservation, which is closed.
///
/// What a late settlement finds beyond the reservation is taken from the budget as far as it
/// reaches and not at all beyond: a budget is never overspent.
fn pay(draft: &mut Draft<'_>, lease: &Lease, meter: Meter) -> Charge {
    let budget = Account::ProjectBudget(lease.project);
    let due = lease.price.for_span(meter.ready);
    let from_reserved = due.min(lease.reserved);
    let beyond = due
        .saturating_sub(from_reserved)
        .min(draft.available(budget))
        .max(Money::ZERO);
    let charge = charge::split(draft, from_reserved.saturating_add(beyond));

    let mut entries = close_reservation(lease.reservation, lease.reserved, from_reserved);
    if !beyond.is_zero() {
        entries.push(Entry::Transfer {
            id: draft.transfer_id(),
            debit: budget,
            credit: Account::Settlement,
            amount: beyond,
            purpose: Purpose::LeaseSlice,
        });
    }
    entries.extend(charge::legs(
        draft,
        lease.provider,
        charge,
        Purpose::LeaseSlice,
    ));
    draft.move_money(entries);
    charge
}

fn close_reservation(id: TransferId, reserved: Money, amount: Money) -> Vec<Entry> {
    if reserved.is_zero() {
        Vec::new()
    } else if amount.is_zero() {
        vec![Entry::Void { id }]
    } else {
        vec![Entry::Post { id, amount }]
    }
}

/// Settles a slice that is over and begins the next; without money for it the lease ends.
pub(super) fn renew(draft: &mut Draft<'_>, id: LeaseId, lease: &Lease) {
    draft.renewed(id);
    let meter = lease.meter.accrue(lease.phase, draft.now);
    let charge = pay(draft, lease, meter);
    let of = (lease.project, lease.workload);
    let next = reserve_slice(draft, of, lease.price, meter.until).ok();
    let next = next.map(|(slice, reserve)| {
        draft.move_money(reserve.into_iter().collect());
        slice
    });
    draft.push(Event::LeaseSettled {
        lease: id,
        meter,
        charge,
        next,
    });
    if next.is_none() {
        close(draft, id, lease, EndReason::BudgetExhausted);
    }
}

/// Ends a lease whose last sign of life was at `last_seen`: nothing after it is charged, and what
/// was charged of it already is given back.
pub(super) fn end(
    draft: &mut Draft<'_>,
    id: LeaseId,
    lease: &Lease,
    reason: EndReason,
    last_seen: Time,
) {
    let served = last_seen.min(draft.now).min(lease.stops_by());
    let meter = lease.meter.accrue(lease.phase, served);
    let meter = meter.silent_since(served, draft.now);
    let due = pay(draft, lease, meter);
    let back = give_back(draft, lease, served);
    draft.push(Event::LeaseSettled {
        lease: id,
        meter,
        charge: due.less(back),
        next: None,
    });
    close(draft, id, lease, reason);
}

/// Gives back what was charged of the time after `served`: a slice may have been settled between
/// the last sign of life and the verdict. Each who had a share of it gives that share back.
fn give_back(draft: &mut Draft<'_>, lease: &Lease, served: Time) -> Charge {
    let Some(charged) = lease.charged.filter(|charged| served < charged.until) else {
        return Charge::default();
    };
    let paid = charged.charge;
    let over = charged.until.since(served).min(charged.ready);
    let kept = Span::from_millis(charged.ready.as_millis() - over.as_millis());
    let owed = lease.price.for_span(kept).min(paid.amount);
    let back = charge::part(paid, paid.amount.saturating_sub(owed));
    charge::give_back(draft, lease, back)
}

fn close(draft: &mut Draft<'_>, id: LeaseId, lease: &Lease, reason: EndReason) {
    let at = draft.now;
    draft.push(Event::LeaseEnded {
        lease: id,
        at,
        reason,
        fault: reason.fault(),
    });
    draft.release(id, lease);
}

/// Notes when to look for a node again. Who was tried out of turn keeps its turn.
pub(super) fn retry_later(draft: &mut Draft<'_>, id: ReplicaId, replica: &Replica) {
    if replica.retry.is_some_and(|retry| retry > draft.now) {
        return;
    }
    let retry = draft.now + backoff(draft, replica.attempts);
    draft.push(Event::ReplicaUnplaced { replica: id, retry });
}

/// Finds a node for a replica that has none, or notes when to look again.
pub(super) fn place_again(
    draft: &mut Draft<'_>,
    id: ReplicaId,
    replica: &Replica,
    away_from: BTreeSet<NodeKey>,
) {
    let Some(workload) = draft.state.workloads.get(&replica.workload) else {
        return;
    };
    if draft.is_over(replica.workload) {
        return;
    }
    let of = Grant {
        workload: replica.workload,
        project: workload.project,
        replica: id,
        terms: &workload.terms,
        epoch: replica.epoch,
        succeeds: false,
    };
    let wanted = request_again(draft, id, (replica.workload, &workload.terms), away_from);
    let wanted = wanted.filter(|wanted| gang::has_turn(workload, id, wanted));
    let nowhere = wanted
        .as_ref()
        .is_some_and(|wanted| wanted.fabric.is_none());
    let wanted = wanted.and_then(|mut wanted| {
        let members = workload.replicas.len();
        gang::settle(draft, &workload.terms, members, &mut wanted).then_some(wanted)
    });
    let leads = nowhere
        && wanted
            .as_ref()
            .is_some_and(|wanted| wanted.fabric.is_some());
    // Who just lost a node takes what was kept for that; who tries again may do so for ever.
    let reserved = draft.state.reservations.contains_key(&replica.workload);
    let standby = if replica.retry.is_none() || reserved {
        Standby::First
    } else {
        Standby::Last
    };
    let mut granted = None;
    if let Some(mut wanted) = wanted {
        granted = seek(draft, &of, &wanted, standby).ok().flatten();
        let at_most = workload.terms.spread_at_most(workload.replica_count());
        if granted.is_none() && at_most != wanted.spread {
            wanted.spread = at_most;
            granted = seek(draft, &of, &wanted, standby).ok().flatten();
        }
    }
    if granted.is_none() {
        retry_later(draft, id, replica);
    } else if leads {
        place_others_again(draft, workload, id);
    }
}

/// The other replicas of a gang follow the first to the fabric that was chosen for all.
fn place_others_again(draft: &mut Draft<'_>, workload: &Workload, first: ReplicaId) {
    for id in workload.replicas.iter().filter(|id| **id != first) {
        let replica = draft.state.replicas.get(id);
        if let Some(replica) = replica.filter(|replica| !draft.has_lease(*id, replica)) {
            place_again(draft, *id, replica, BTreeSet::new());
        }
    }
}

/// Doubles with every attempt, up to the policy's longest.
fn backoff(draft: &Draft<'_>, attempts: u32) -> Span {
    doubled(draft, attempts).min(draft.state.policy.replace_backoff_max)
}

/// The policy's backoff, doubled with every attempt.
pub(super) fn doubled(draft: &Draft<'_>, attempts: u32) -> Span {
    let first = draft.state.policy.replace_backoff.as_millis();
    Span::from_millis(first.saturating_mul(1 << attempts.min(20)))
}

/// Lets a lease finish what it has and go. What is not ready has nothing to finish: it ends at once.
pub(super) fn drain(draft: &mut Draft<'_>, id: LeaseId, lease: &Lease, reason: EndReason) {
    match lease.phase {
        Phase::Draining(_) => {}
        Phase::Ready => {
            let deadline = draft.now + draft.state.policy.drain_grace;
            draft.push(Event::LeasePhased {
                lease: id,
                phase: Phase::Draining(deadline),
                at: draft.now,
            });
        }
        Phase::Placed | Phase::Preparing | Phase::Starting | Phase::Suspect => {
            end(draft, id, lease, reason, draft.now);
        }
    }
}

/// What follows for a replica that is to run and has no lease any more.
pub(super) fn replace(draft: &mut Draft<'_>, id: ReplicaId, node: NodeKey, reason: EndReason) {
    let Some(replica) = draft.state.replicas.get(&id) else {
        return;
    };
    if draft.has_lease(id, replica) || replica.retry.is_some() {
        return;
    }
    match reason {
        // Not its own doing: at once, elsewhere.
        EndReason::NodeLost
        | EndReason::NodeRestarted
        | EndReason::ProviderLeft
        | EndReason::Drained => place_again(draft, id, replica, BTreeSet::from([node])),
        // Perhaps the node's doing: at once elsewhere, but not for ever.
        EndReason::PrepareFailed | EndReason::NeverReady | EndReason::RuntimeRefused
            if replica.attempts <= 1 =>
        {
            place_again(draft, id, replica, BTreeSet::from([node]));
        }
        EndReason::PrepareFailed
        | EndReason::NeverReady
        | EndReason::RuntimeRefused
        | EndReason::Stopped
        | EndReason::Completed
        | EndReason::Crashed
        | EndReason::OutOfMemory
        | EndReason::BudgetExhausted
        | EndReason::TermOver
        | EndReason::GaveWay => retry_later(draft, id, replica),
    }
}
