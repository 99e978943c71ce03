//! Tenants, their projects, money and keys.

use remuda_ledger::{Account, Entry, Purpose, Rail};
use remuda_types::{ApiKeyId, Label, Money, ProjectId, TenantId, Time};

use super::draft::Draft;
use super::supply::{countable, positive, staying};
use crate::command::IssueKey;
use crate::event::Event;
use crate::index::Named;
use crate::refusal::Refusal;
use crate::state::{KeyOwner, Project, State};

pub(super) fn create_tenant(draft: &mut Draft<'_>, label: Label) -> Result<(), Refusal> {
    if draft.index.named(&Named::Tenant(label)).is_some() {
        return Err(Refusal::NameTaken { kind: "tenant" });
    }
    let tenant = TenantId::derived(draft.id, 0);
    draft.push(Event::TenantCreated {
        tenant,
        label,
        at: draft.now,
    });
    Ok(())
}

pub(super) fn top_up(
    draft: &mut Draft<'_>,
    tenant: TenantId,
    amount: Money,
    rail: Rail,
) -> Result<(), Refusal> {
    known_tenant(draft.state, tenant)?;
    positive("amount", amount)?;
    countable(draft, amount, rail)?;
    let entry = Entry::Transfer {
        id: draft.transfer_id(),
        debit: Account::Rail(rail),
        credit: Account::TenantPrepaid(tenant),
        amount,
        purpose: Purpose::TopUp,
    };
    draft.move_money(vec![entry]);
    Ok(())
}

fn known_tenant(state: &State, tenant: TenantId) -> Result<(), Refusal> {
    match state.tenants.get(&tenant) {
        Some(_) => Ok(()),
        None => Err(Refusal::not_found("tenant", tenant)),
    }
}

pub(super) fn create_project(
    draft: &mut Draft<'_>,
    tenant: TenantId,
    label: Label,
) -> Result<(), Refusal> {
    known_tenant(draft.state, tenant)?;
    if draft.index.named(&Named::Project(tenant, label)).is_some() {
        return Err(Refusal::NameTaken { kind: "project" });
    }
    let project = ProjectId::derived(draft.id, 0);
    draft.push(Event::ProjectCreated {
        project,
        tenant,
        label,
        at: draft.now,
    });
    Ok(())
}

pub(super) fn known_project(state: &State, id: ProjectId) -> Result<&Project, Refusal> {
    state
        .projects
        .get(&id)
        .ok_or_else(|| Refusal::not_found("project", id))
}

/// Moves money into a budget: credits first, they are spent or lost; then what was prepaid.
pub(super) fn fund_budget(
    draft: &mut Draft<'_>,
    project: ProjectId,
    amount: Money,
) -> Result<(), Refusal> {
    let tenant = known_project(draft.state, project)?.tenant;
    positive("amount", amount)?;
    let credit = draft
        .available(Account::TenantCredit(tenant))
        .min(amount)
        .max(Money::ZERO);
    let prepaid = amount.saturating_sub(credit);
    let mut entries = Vec::new();
    for (debit, amount) in [
        (Account::TenantCredit(tenant), credit),
        (Account::TenantPrepaid(tenant), prepaid),
    ] {
        if !amount.is_zero() {
            entries.push(Entry::Transfer {
                id: draft.transfer_id(),
                debit,
                credit: Account::ProjectBudget(project),
                amount,
                purpose: Purpose::BudgetFunding,
            });
        }
    }
    draft.move_money(entries);
    Ok(())
}

pub(super) fn issue_key(draft: &mut Draft<'_>, key: &IssueKey) -> Result<(), Refusal> {
    match key.owner {
        KeyOwner::Operator => {}
        KeyOwner::Project(project) => {
            known_project(draft.state, project)?;
        }
        KeyOwner::Provider(provider) => {
            staying(draft.state, provider)?;
        }
    }
    if key.scopes.is_empty() {
        let problem = "a key needs at least one scope".to_owned();
        return Err(Refusal::Invalid {
            field: "scopes",
            problem,
        });
    }
    check_expiry(key.expires, draft.now)?;
    if draft.index.key(&key.digest).is_some() {
        let problem = "a key with this secret was issued already".to_owned();
        return Err(Refusal::Invalid {
            field: "digest",
            problem,
        });
    }
    within_key_limit(draft, key.owner)?;
    draft.push(Event::KeyIssued {
        key: ApiKeyId::derived(draft.id, 0),
        owner: key.owner,
        digest: key.digest,
        scopes: key.scopes.clone(),
        expires: key.expires,
        requests_per_minute: key.requests_per_minute,
        at: draft.now,
    });
    Ok(())
}

fn check_expiry(expires: Option<Time>, now: Time) -> Result<(), Refusal> {
    let problem = match expires {
        Some(expires) if expires <= now => "the key would have expired already",
        Some(expires) if expires > Time::LAST_WRITABLE => {
            "it ends before the year 10000, or is left out for a key without end"
        }
        Some(_) | None => return Ok(()),
    };
    Err(Refusal::Invalid {
        field: "expires",
        problem: problem.to_owned(),
    })
}

fn within_key_limit(draft: &Draft<'_>, owner: KeyOwner) -> Result<(), Refusal> {
    let maximum = draft.state.policy.max_keys;
    let keys = draft.index.keys_of(owner);
    let live = keys
        .filter_map(|id| draft.state.keys.get(&id))
        .filter(|key| key.is_valid(draft.now))
        .count();
    if live < maximum as usize {
        return Ok(());
    }
    let way_out = "revoke keys that are not used";
    Err(Refusal::LimitMet {
        limit: "max_keys",
        maximum: u64::from(maximum),
        way_out,
    })
}

pub(super) fn revoke_key(draft: &mut Draft<'_>, key: ApiKeyId) -> Result<(), Refusal> {
    let known = draft
        .state
        .keys
        .get(&key)
        .ok_or_else(|| Refusal::not_found("API key", key))?;
    if known.revoked.is_none() {
        draft.push(Event::KeyRevoked { key, at: draft.now });
    }
    Ok(())
}
