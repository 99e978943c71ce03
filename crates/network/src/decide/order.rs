//! Standing orders: what cannot be had now is deployed as soon as it can.
//!
//! An order has room when the terms have: a node that comes free, comes back or joins, at a price
//! that they allow. It is looked for when room of a class that the order takes comes free, and again
//! and again by itself, ever more rarely; it never holds anything.

use remuda_types::{ProjectId, Span, Time, WorkloadId};

use super::deploy;
use super::draft::Draft;
use super::lease::doubled;
use crate::event::Event;
use crate::refusal::Refusal;
use crate::state::{OrderEnd, StandingOrder, Terms};

/// Deploys what is wanted if there is room, and else has the order stand.
pub(super) fn place(
    draft: &mut Draft<'_>,
    project: ProjectId,
    terms: &Terms,
    replicas: u32,
    until: Time,
) -> Result<(), Refusal> {
    check_until(draft, until)?;
    let mark = draft.mark();
    match deploy::deploy(draft, project, terms, replicas) {
        Err(Refusal::NoRoom(_)) => draft.back_to(mark),
        Err(refusal) => return Err(refusal),
        Ok(()) => {
            end(draft, WorkloadId::derived(draft.id, 0), OrderEnd::Filled);
            return Ok(());
        }
    }
    let retry = draft.now + wait(draft, 0);
    draft.push(Event::OrderStands {
        workload: WorkloadId::derived(draft.id, 0),
        project,
        terms: Box::new(terms.clone()),
        replicas,
        until,
        retry,
        at: draft.now,
    });
    Ok(())
}

fn check_until(draft: &Draft<'_>, until: Time) -> Result<(), Refusal> {
    let longest = draft.state.policy.order_stands_max;
    if until > draft.now && until.since(draft.now) <= longest {
        return Ok(());
    }
    let longest = longest.in_words();
    let problem = format!("a time that lies ahead is expected, by {longest} at most");
    Err(Refusal::Invalid {
        field: "until",
        problem,
    })
}

pub(super) fn cancel(draft: &mut Draft<'_>, id: WorkloadId) -> Result<(), Refusal> {
    if !draft.state.orders.contains_key(&id) {
        return Err(Refusal::not_found("standing order", id));
    }
    end(draft, id, OrderEnd::Cancelled);
    Ok(())
}

fn end(draft: &mut Draft<'_>, id: WorkloadId, end: OrderEnd) {
    draft.push(Event::OrderEnded {
        workload: id,
        end,
        at: draft.now,
    });
}

/// An order is to be tried again, for it is its turn or room came free, or its time is over.
pub(super) fn due(draft: &mut Draft<'_>, id: WorkloadId) {
    let Some(order) = draft.state.orders.get(&id) else {
        return;
    };
    if order.until <= draft.now {
        end(draft, id, OrderEnd::Lapsed);
        return;
    }
    let mark = draft.mark();
    if fill(draft, id, order).is_err() {
        draft.back_to(mark);
        let is_its_turn = order.retry <= draft.now;
        let retry = if is_its_turn {
            draft.now + wait(draft, order.attempts)
        } else {
            order.retry
        };
        draft.push(Event::OrderWaits {
            workload: id,
            retry,
        });
    }
}

/// Ever longer, for an order may stand for months.
fn wait(draft: &Draft<'_>, attempts: u32) -> Span {
    doubled(draft, attempts).min(draft.state.policy.order_retry_max)
}

fn fill(draft: &mut Draft<'_>, id: WorkloadId, order: &StandingOrder) -> Result<(), Refusal> {
    let of = (id, order.project);
    deploy::accept(draft, of, &order.terms, order.replicas)?;
    end(draft, id, OrderEnd::Filled);
    Ok(())
}
