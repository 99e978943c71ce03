//! Money in gateways' hands: opened, posted from, closed.

use remuda_ledger::{Account, Entry, Purpose};
use remuda_types::{Digest, GatewayKey, LeaseId, Money, ProjectId, ProviderId, TrancheId};

use super::charge;
use super::demand::known_project;
use super::draft::Draft;
use super::supply::positive;
use crate::event::{Event, Usage, UsageTotal};
use crate::refusal::Refusal;
use crate::state::Tranche;

pub(super) fn open(
    draft: &mut Draft<'_>,
    gateway: GatewayKey,
    id: TrancheId,
    project: ProjectId,
    amount: Money,
) -> Result<(), Refusal> {
    if !draft.state.gateways.contains(&gateway) {
        return Err(Refusal::not_found("gateway", gateway));
    }
    known_project(draft.state, project)?;
    positive("amount", amount)?;
    if let Some(open) = draft.state.tranches.get(&id) {
        return if open.gateway == gateway && open.project == project {
            Ok(())
        } else {
            Err(Refusal::NotYours {
                kind: "the tranche",
                owner: "gateway",
            })
        };
    }
    let policy = &draft.state.policy;
    let available = draft.available(Account::ProjectBudget(project));
    let free = available.saturating_sub(kept_for_leases(draft, project, available));
    let granted = amount.min(policy.tranche_max).min(free);
    let least = policy.tranche_min.max(Money::from_micros(1));
    if granted < least {
        return Err(Refusal::BudgetExhausted {
            available,
            needed: least,
        });
    }
    let deadline = draft.now + policy.tranche_ttl;
    let reservation = draft.transfer_id();
    draft.move_money(vec![Entry::Reserve {
        id: reservation,
        debit: Account::ProjectBudget(project),
        credit: Account::Settlement,
        amount: granted,
        purpose: Purpose::Tranche,
        expires: None,
    }]);
    draft.push(Event::TrancheOpened {
        tranche: id,
        gateway,
        project,
        amount: granted,
        deadline,
        reservation,
    });
    Ok(())
}

/// What no tranche takes of a budget: what the project's leases cost for as long as a tranche may lie
/// idle, as far as half of what is there pays for it. A model must not stop for want of the money that
/// waits at its own door.
fn kept_for_leases(draft: &Draft<'_>, project: ProjectId, available: Money) -> Money {
    let policy = &draft.state.policy;
    let idle = policy.slice.max(policy.tranche_ttl);
    let cost = draft.index.projects.price(project).for_span(idle);
    cost.min(Money::from_micros(available.as_micros() / 2))
}

fn owned<'a>(
    draft: &Draft<'a>,
    gateway: GatewayKey,
    id: TrancheId,
) -> Result<&'a Tranche, Refusal> {
    let tranche = draft.state.tranches.get(&id);
    let tranche = tranche.ok_or_else(|| Refusal::not_found("tranche", id))?;
    if tranche.gateway == gateway {
        Ok(tranche)
    } else {
        Err(Refusal::NotYours {
            kind: "the tranche",
            owner: "gateway",
        })
    }
}

pub(super) fn post(
    draft: &mut Draft<'_>,
    gateway: GatewayKey,
    id: TrancheId,
    seq: u64,
    totals: &[UsageTotal],
    rows: Digest,
) -> Result<(), Refusal> {
    let tranche = owned(draft, gateway, id)?;
    if seq <= tranche.seq {
        return Ok(());
    }
    if seq != tranche.seq.saturating_add(1) {
        return Err(Refusal::PostOutOfOrder {
            given: seq,
            last: tranche.seq,
        });
    }
    let posted = total(totals)?;
    if posted > tranche.left {
        return Err(Refusal::TrancheOverdrawn {
            posted,
            left: tranche.left,
        });
    }
    let usages: Vec<_> = totals
        .iter()
        .filter_map(|total| usage(draft, tranche.project, *total))
        .collect();
    draw(draft, tranche, &usages);
    draft.push(Event::UsagePosted {
        tranche: id,
        seq,
        usages,
        rows,
        at: draft.now,
    });
    Ok(())
}

fn total(totals: &[UsageTotal]) -> Result<Money, Refusal> {
    totals.iter().try_fold(Money::ZERO, |sum, total| {
        if total.amount.is_negative() {
            let problem = format!("{} USD: usage is never below zero", total.amount);
            return Err(Refusal::Invalid {
                field: "totals.amount",
                problem,
            });
        }
        Ok(sum.saturating_add(total.amount))
    })
}

/// What one total means; nothing when its lease is forgotten or another project's: nobody could be
/// paid for it, so nobody pays. The rest of the post stands, for later posts follow it.
fn usage(draft: &Draft<'_>, project: ProjectId, total: UsageTotal) -> Option<Usage> {
    let (provider, owner) = lease_parties(draft, total.lease)?;
    (owner == project).then(|| Usage {
        total,
        provider,
        charge: charge::split(draft, total.amount),
    })
}

fn lease_parties(draft: &Draft<'_>, lease: LeaseId) -> Option<(ProviderId, ProjectId)> {
    let live = draft
        .state
        .leases
        .get(&lease)
        .map(|lease| (lease.provider, lease.project));
    live.or_else(|| {
        draft
            .state
            .ended_leases
            .get(&lease)
            .map(|lease| (lease.provider, lease.project))
    })
}

/// Posts the usages out of what is set aside and pays them; the rest stays set aside.
fn draw(draft: &mut Draft<'_>, tranche: &Tranche, usages: &[Usage]) {
    let posted = usages.iter().fold(Money::ZERO, |sum, usage| {
        sum.saturating_add(usage.total.amount)
    });
    if posted.is_zero() {
        return;
    }
    let mut entries = vec![Entry::PostPart {
        id: tranche.reservation,
        amount: posted,
    }];
    for usage in usages {
        entries.extend(charge::legs(
            draft,
            usage.provider,
            usage.charge,
            Purpose::Usage,
        ));
    }
    draft.move_money(entries);
}

pub(super) fn close(
    draft: &mut Draft<'_>,
    gateway: GatewayKey,
    id: TrancheId,
) -> Result<(), Refusal> {
    if !draft.state.tranches.contains_key(&id) {
        return Ok(());
    }
    let tranche = owned(draft, gateway, id)?;
    void(draft, id, tranche);
    Ok(())
}

/// Gives what is left back to the budget.
pub(super) fn void(draft: &mut Draft<'_>, id: TrancheId, tranche: &Tranche) {
    // Also when nothing is left: the reservation stays open until it is voided.
    draft.move_money(vec![Entry::Void {
        id: tranche.reservation,
    }]);
    draft.push(Event::TrancheClosed { tranche: id });
}
