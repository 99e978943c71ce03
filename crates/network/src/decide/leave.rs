//! Providers that leave: with notice for nothing, without it for a price.

use std::collections::{BTreeMap, BTreeSet};

use remuda_ledger::{Account, Entry, Purpose};
use remuda_types::{LeaseId, Money, NodeKey, Price, ProviderId, Time};

use super::draft::Draft;
use super::supply::staying;
use super::{lease, presence, standby};
use crate::bond::{self, EarlyExit};
use crate::command::LeaveManner;
use crate::event::{Compensation, Event};
use crate::refusal::Refusal;
use crate::state::{EndReason, Lease, Node, Phase, Presence, Standing};

/// Abandonment, or exit without notice, in DESIGN's ladder.
const LEVEL_ABANDONED: u8 = 3;

pub(super) fn leave(
    draft: &mut Draft<'_>,
    provider: ProviderId,
    manner: LeaveManner,
) -> Result<(), Refusal> {
    match manner {
        LeaveManner::Notice => give_notice(draft, provider),
        LeaveManner::Now => leave_now(draft, provider),
    }
}

/// The nodes of a provider that are not gone for good.
pub(super) fn nodes_of(draft: &Draft<'_>, provider: ProviderId) -> Vec<NodeKey> {
    let is_here = |id: &NodeKey| {
        let node = draft.state.nodes.get(id);
        node.is_some_and(|node| !matches!(node.presence, Presence::Left(_)))
    };
    draft.index.nodes_of(provider).filter(is_here).collect()
}

fn give_notice(draft: &mut Draft<'_>, provider: ProviderId) -> Result<(), Refusal> {
    staying(draft.state, provider)?;
    let standing = Standing::Leaving(draft.now + draft.state.policy.notice);
    draft.push(Event::ProviderStands { provider, standing });
    let nodes = nodes_of(draft, provider);
    for node in &nodes {
        draft.close(*node);
    }
    presence::drain_all(draft, nodes);
    Ok(())
}

fn leave_now(draft: &mut Draft<'_>, provider: ProviderId) -> Result<(), Refusal> {
    match draft
        .state
        .providers
        .get(&provider)
        .map(|provider| provider.standing)
    {
        None => return Err(Refusal::not_found("provider", provider)),
        Some(Standing::Left(_)) => return Ok(()),
        Some(Standing::Active | Standing::Leaving(_)) => {}
    }
    let broken = broken_by(draft, provider);
    let left = draft.now;
    draft.push(Event::ProviderStands {
        provider,
        standing: Standing::Left(left),
    });
    let known = |id| draft.state.nodes.get(&id).map(|node| (id, node));
    let nodes = nodes_of(draft, provider).into_iter().filter_map(known);
    let nodes = nodes.map(|(id, node)| (id, last_known(node, left)));
    let nodes: Vec<_> = nodes.collect();
    gone(draft, &nodes);
    presence::abandon(draft, &nodes, EndReason::ProviderLeft);
    forfeit(draft, provider, &broken);
    Ok(())
}

/// These nodes, each last known to serve at a time, are gone for good.
pub(super) fn gone(draft: &mut Draft<'_>, nodes: &[(NodeKey, Time)]) {
    for (node, _) in nodes {
        draft.close(*node);
    }
    let presence = Presence::Left(draft.now);
    for &(node, _) in nodes {
        standby::vacate(draft, node);
        draft.push(Event::NodePresent { node, presence });
    }
}

/// A node that is heard served until it left; any other until it was last known to.
pub(super) fn last_known(node: &Node, now: Time) -> Time {
    match node.presence {
        Presence::Up(_) | Presence::Suspect(_) | Presence::Draining(_) => {
            node.last_seen().unwrap_or(now)
        }
        Presence::Away(at) | Presence::Lost(at) | Presence::Left(at) => at,
    }
}

/// The leases whose promise is broken when the provider leaves now. What drains already is not
/// missed: it was stopped, or it has moved.
fn broken_by(draft: &Draft<'_>, provider: ProviderId) -> BTreeMap<LeaseId, Lease> {
    let nodes = nodes_of(draft, provider).into_iter();
    nodes
        .filter_map(|id| draft.state.nodes.get(&id))
        .flat_map(|node| presence::held_by(draft, node))
        .filter(|(_, lease)| !matches!(lease.phase, Phase::Draining(_)))
        .collect()
}

/// Takes F and a quarter of the bond, holdback first and then the bond. Tenants are paid F first,
/// each for its own leases; the quarter goes to the pool; nothing to the platform.
fn forfeit(draft: &mut Draft<'_>, provider: ProviderId, broken: &BTreeMap<LeaseId, Lease>) {
    if broken.is_empty() {
        return;
    }
    let held = draft
        .available(Account::ProviderHeld(provider))
        .max(Money::ZERO);
    let bond = draft
        .available(Account::ProviderBond(provider))
        .max(Money::ZERO);
    let stake = held.saturating_add(bond);
    let fees: Vec<_> = broken
        .iter()
        .map(|(id, lease)| (*id, lease, fee(draft, lease)))
        .collect();
    let owed = fees
        .iter()
        .fold(Money::ZERO, |sum, (_, _, fee)| sum.saturating_add(*fee));
    let compensated = owed.min(stake);
    let to_pool = bond
        .basis_points(2_500)
        .min(stake.saturating_sub(compensated));
    let from_held = compensated.saturating_add(to_pool).min(held);
    let from_bond = compensated
        .saturating_add(to_pool)
        .saturating_sub(from_held);

    let to_tenants = share(draft, &fees, owed, compensated);
    let payees = to_tenants
        .iter()
        .map(|paid| {
            (
                Account::TenantCredit(paid.tenant),
                paid.amount,
                Purpose::TenantCompensation,
            )
        })
        .chain([(Account::InsurancePool, to_pool, Purpose::Forfeiture)])
        .collect::<Vec<_>>();
    let sources = [
        (Account::ProviderHeld(provider), from_held),
        (Account::ProviderBond(provider), from_bond),
    ];
    pay(draft, sources, payees);
    draft.push(Event::Forfeited {
        provider,
        level: LEVEL_ABANDONED,
        from_held,
        from_bond,
        to_tenants,
        to_pool,
        at: draft.now,
    });
}

fn fee(draft: &mut Draft<'_>, lease: &Lease) -> Money {
    let exit = EarlyExit {
        price: lease.price,
        replacement: replacement_price(draft, lease),
        // A reserved lease may end later than a term from now; what is promised is paid for by terms.
        remaining: lease
            .hard_end
            .since(draft.now)
            .min(draft.state.policy.lease_term),
        term: draft.state.policy.lease_term,
    };
    bond::early_exit_fee(&draft.state.policy, exit)
}

/// What the replacement costs: that of the lease just granted, or else what the cheapest node that
/// is left asks for the same shape, or else the broken lease's own price.
fn replacement_price(draft: &mut Draft<'_>, broken: &Lease) -> Price {
    if let Some(granted) = draft.grant_of(broken.replica) {
        return granted.price;
    }
    let Some(workload) = draft.state.workloads.get(&broken.workload) else {
        return broken.price;
    };
    let of = (broken.workload, &workload.terms);
    let wanted = lease::request_again(draft, broken.replica, of, BTreeSet::new());
    let found = wanted.and_then(|wanted| remuda_placement::find(draft.index.fleet.now(), &wanted));
    found.map_or(broken.price, |found| found.price)
}

/// Divides what there is by what is owed; the rounding's rest goes to the last.
fn share(
    draft: &Draft<'_>,
    fees: &[(LeaseId, &Lease, Money)],
    owed: Money,
    compensated: Money,
) -> Vec<Compensation> {
    let whole = u64::try_from(owed.as_micros()).unwrap_or_default();
    let mut left = compensated;
    let mut shares = Vec::new();
    for (index, (lease_id, lease, fee)) in fees.iter().enumerate() {
        let Some(project) = draft.state.projects.get(&lease.project) else {
            continue;
        };
        let part = u64::try_from(fee.as_micros()).unwrap_or_default();
        let last = index + 1 == fees.len();
        let amount = if last {
            left
        } else {
            compensated.fraction(part, whole).min(left)
        };
        left = left.saturating_sub(amount);
        shares.push(Compensation {
            tenant: project.tenant,
            lease: *lease_id,
            amount,
        });
    }
    shares
}

/// Pays each payee from the sources in their order.
fn pay(
    draft: &mut Draft<'_>,
    sources: [(Account, Money); 2],
    payees: Vec<(Account, Money, Purpose)>,
) {
    let mut sources = sources.into_iter();
    let mut entries = Vec::new();
    let mut source = sources.next();
    for (credit, mut amount, purpose) in payees {
        while let Some((debit, left)) = source.as_mut().filter(|_| !amount.is_zero()) {
            let part = amount.min(*left);
            if !part.is_zero() {
                let id = draft.transfer_id();
                entries.push(Entry::Transfer {
                    id,
                    debit: *debit,
                    credit,
                    amount: part,
                    purpose,
                });
            }
            amount = amount.saturating_sub(part);
            *left = left.saturating_sub(part);
            if left.is_zero() {
                source = sources.next();
            }
        }
    }
    draft.move_money(entries);
}
