//! What the clock brings about, a bounded number of things at a time.

use std::collections::BTreeSet;

use remuda_ledger::{Account, Entry, Purpose};
use remuda_types::{LeaseId, NodeKey, ProviderId, ReplicaId, Together, WorkloadId};

use super::draft::Draft;
use super::leave::{gone, last_known, nodes_of};
use super::observe::{after_end, drained};
use super::{lease, order, presence, reserve, standby, tranche};
use crate::event::Event;
use crate::index::{Due, Layer};
use crate::state::{EndReason, Node, Phase, Standing, State, Terms};

/// So many standing orders are tried in one tick at most, and so many of their replicas, but one order
/// always: each is a search, and all others wait. As many again may be tried that room has woken, and
/// before these so many who have lost a place.
const ORDERS_AT_ONCE: usize = 50;
const ORDERED_AT_ONCE: u64 = 500;
const SEEKERS_AT_ONCE: usize = 50;
/// Among so many of them, those whose own turn comes next.
const SEEKERS_SEEN: usize = 1_000;

pub(super) fn tick(draft: &mut Draft<'_>, adopting: bool) {
    draft.spares_spot |= adopting;
    let limit = draft.state.policy.tick_limit as usize;
    let due = draft.index.due(draft.now);
    let due = due.filter(|item| !adopting || is_of_placement(*item));
    let due = due.filter(reserve::at_once(draft, limit));
    let due = due.filter(emptied_at_once(draft));
    let mut due: Vec<_> = due.take(limit).collect();
    due.extend(orders_due(draft));
    // Who leaves goes first: a lease that ends with its provider must not be renewed before, for
    // then it would be settled twice in one batch.
    // Standbys go last, and before them who has waited for a place: who has lost one goes first, then
    // what is booked and spot, which would have to make room again for the others.
    // What is over goes before what begins, for it may be in its place.
    let begins = |id: &WorkloadId| draft.state.reservations.get(id).is_some_and(|of| !of.begun);
    due.sort_by_key(|item| match item {
        Due::Provider(_) => 0,
        Due::Reservation(id) if begins(id) => 2,
        Due::Reservation(_) => 1,
        Due::Replica(id) if is_spot(draft, id) => 4,
        Due::Claim(_) if reserve::is_booking(draft.state, item) => 4,
        Due::Order(_) => 5,
        Due::Claim(_) => 6,
        _ => 3,
    });
    for item in due {
        match item {
            Due::Lease(id) => lease_due(draft, id),
            Due::Replica(id) => replica_due(draft, id),
            Due::Tranche(id) => {
                if let Some(open) = draft.state.tranches.get(&id) {
                    tranche::void(draft, id, open);
                }
            }
            Due::Provider(id) => provider_due(draft, id),
            Due::Node(id) => node_due(draft, id),
            Due::Ended(id) => draft.push(Event::LeaseForgotten { lease: id }),
            Due::Claim(id) => standby::due(draft, id),
            Due::Reservation(id) => reserve::due(draft, id),
            Due::Order(id) => order::due(draft, id),
        }
    }
}

/// Of the nodes that drain lets through as many as may be emptied in one batch, and one always; the others
/// stay due, and keep nothing else waiting.
fn emptied_at_once<'a>(draft: &Draft<'a>) -> impl FnMut(&Due) -> bool + use<'a> {
    let (state, most) = (draft.state, draft.moves_left());
    let mut left = most;
    move |item| match item {
        Due::Node(id) => {
            // Where nothing may move any more, nothing is counted.
            let staying = if left == 0 { 1 } else { staying_on(state, *id) };
            let may_move = left == most || staying <= left;
            if may_move {
                left = left.saturating_sub(staying);
            }
            may_move
        }
        _ => true,
    }
}

/// How many leases of a node are to move and do not yet.
fn staying_on(state: &State, id: NodeKey) -> usize {
    let leases = state.nodes.get(&id).into_iter().flat_map(|of| &of.leases);
    let leases = leases.filter_map(|id| Some((*id, state.leases.get(id)?)));
    leases.filter(|(id, lease)| state.stays(*id, lease)).count()
}

/// The standing orders to try: those that room which came free has woken go first, then those whose turn
/// it is. That room is for who has lost a place before it is for anybody who waits for a first one.
fn orders_due(draft: &Draft<'_>) -> Vec<Due> {
    let woken = draft.index.woken_orders(draft.now, ORDERS_AT_ONCE);
    let woken: Vec<_> = at_once(draft, woken.into_iter().map(Due::Order)).collect();
    let due = draft.index.due_orders(draft.now);
    let due = due.filter(|order| !woken.contains(order));
    let due: Vec<_> = at_once(draft, due.take(ORDERS_AT_ONCE)).collect();
    let seekers = seekers_beside(draft, &woken);
    seekers.into_iter().chain(woken).chain(due).collect()
}

/// Who has lost a place and could use room of the kinds that these orders were woken by.
fn seekers_beside(draft: &Draft<'_>, woken: &[Due]) -> Vec<Due> {
    let state = draft.state;
    let orders = woken.iter().filter_map(|due| match due {
        Due::Order(id) => state.orders.get(id),
        _ => None,
    });
    let classes: Vec<_> = orders.map(|order| &order.terms.classes).collect();
    let any = classes.iter().any(|classes| classes.is_empty());
    let classes: BTreeSet<_> = classes.into_iter().flatten().collect();
    let could_use = |terms: &Terms| {
        any || terms.classes.is_empty() || terms.classes.iter().any(|one| classes.contains(one))
    };
    let seeks = |due: &Due| match due {
        Due::Replica(id) => {
            let replica = state.replicas.get(id);
            let workload = replica.and_then(|of| state.workloads.get(&of.workload));
            // Of a gang the first looks for all.
            workload.is_some_and(|of| {
                let is_behind =
                    of.terms.together == Together::Fabric && of.replicas.first() != Some(id);
                could_use(&of.terms) && !is_behind
            })
        }
        Due::Claim(id) => {
            let claim = state.claims.get(id);
            let of = claim.and_then(|claim| state.reservations.get(&claim.workload));
            of.is_some_and(|of| could_use(&of.terms))
        }
        _ => false,
    };
    let looked_at = if woken.is_empty() { 0 } else { SEEKERS_SEEN };
    let seekers = draft.index.seekers_after(draft.now).take(looked_at);
    seekers.filter(seeks).take(SEEKERS_AT_ONCE).collect()
}

/// The first of these orders that together have few enough replicas.
fn at_once(draft: &Draft<'_>, orders: impl Iterator<Item = Due>) -> impl Iterator<Item = Due> {
    let replicas = |due: &Due| match due {
        Due::Order(id) => draft.state.orders.get(id).map_or(0, |order| order.replicas),
        _ => 0,
    };
    let mut sum = 0;
    orders.take_while(move |due| {
        let is_first = sum == 0;
        sum += u64::from(replicas(due));
        is_first || sum <= ORDERED_AT_ONCE
    })
}

fn is_spot(draft: &Draft<'_>, id: &ReplicaId) -> bool {
    let replica = draft.state.replicas.get(id);
    replica.is_some_and(|replica| Layer::of_workload(draft.state, replica.workload) == Layer::Spot)
}

/// Whether it only finds nodes for what has none or is to move: no money, and nothing that ends.
const fn is_of_placement(item: Due) -> bool {
    match item {
        Due::Replica(_) | Due::Node(_) | Due::Claim(_) | Due::Order(_) => true,
        Due::Lease(_)
        | Due::Tranche(_)
        | Due::Provider(_)
        | Due::Ended(_)
        | Due::Reservation(_) => false,
    }
}

fn lease_due(draft: &mut Draft<'_>, id: LeaseId) {
    let Some(held) = draft.state.leases.get(&id).filter(|_| !draft.ends(id)) else {
        return;
    };
    let over = match held.phase {
        Phase::Draining(deadline) if deadline <= draft.now => Some(drained(draft, held)),
        _ if held.hard_end <= draft.now => Some(EndReason::TermOver),
        _ => held
            .gives_up_at(&draft.state.policy)
            .filter(|at| *at <= draft.now)
            .map(|_| EndReason::NeverReady),
    };
    if let Some(reason) = over {
        // Whether what drains on a silent node still serves nobody knows: it is not charged.
        let node = draft.state.nodes.get(&held.node);
        let last_seen = node.and_then(Node::last_seen).unwrap_or(draft.now);
        lease::end(draft, id, held, reason, last_seen);
        after_end(draft, held, reason);
        return;
    }
    lease::renew(draft, id, held);
    if draft.ends(id) {
        after_end(draft, held, EndReason::BudgetExhausted);
    }
}

fn replica_due(draft: &mut Draft<'_>, id: ReplicaId) {
    let Some(replica) = draft.state.replicas.get(&id) else {
        return;
    };
    if !draft.has_lease(id, replica) && !draft.is_over(replica.workload) {
        lease::place_again(draft, id, replica, BTreeSet::new());
    }
}

fn provider_due(draft: &mut Draft<'_>, id: ProviderId) {
    let Some(provider) = draft.state.providers.get(&id) else {
        return;
    };
    let policy = &draft.state.policy;
    let held = policy.holdback.saturating_add(policy.holdback_bucket);
    let buckets = provider.held.iter().map(|(at, sum)| (*at, *sum));
    let ripe: Vec<_> = buckets
        .take_while(|(bucket, _)| *bucket + held <= draft.now)
        .collect();
    for (bucket, amount) in ripe {
        let entry = Entry::Transfer {
            id: draft.transfer_id(),
            debit: Account::ProviderHeld(id),
            credit: Account::ProviderAvailable(id),
            amount,
            purpose: Purpose::HoldbackRelease,
        };
        draft.move_money(vec![entry]);
        draft.push(Event::HoldbackReleased {
            provider: id,
            bucket,
            amount,
        });
    }
    if let Standing::Leaving(at) = provider.standing
        && at <= draft.now
    {
        notice_over(draft, id);
    }
}

/// The notice is over: whatever still runs there is moved like from a lost node, at no price.
fn notice_over(draft: &mut Draft<'_>, id: ProviderId) {
    let standing = Standing::Left(draft.now);
    draft.push(Event::ProviderStands {
        provider: id,
        standing,
    });
    let known = |id| draft.state.nodes.get(&id).map(|node| (id, node));
    let nodes = nodes_of(draft, id).into_iter().filter_map(known);
    let nodes: Vec<_> = nodes
        .map(|(id, node)| (id, last_known(node, draft.now)))
        .collect();
    gone(draft, &nodes);
    presence::abandon(draft, &nodes, EndReason::Drained);
}

fn node_due(draft: &mut Draft<'_>, id: NodeKey) {
    let Some(node) = draft.state.nodes.get(&id) else {
        return;
    };
    // Its provider's notice may be over in this very batch.
    if presence::held_by(draft, node).is_empty() {
        return;
    }
    draft.push(Event::DrainTried {
        node: id,
        at: draft.now,
    });
    presence::move_away(draft, [node]);
}
