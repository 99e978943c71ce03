//! Providers, their sites, bonds and nodes.

use std::collections::BTreeSet;

use remuda_ledger::{Account, Entry, Purpose, Rail};
use remuda_types::{Capacity, Country, Label, Money, Place, ProviderId, SiteId};

use super::draft::Draft;
use crate::bond;
use crate::command::EnrolNode;
use crate::event::Event;
use crate::index::{Named, offer};
use crate::refusal::Refusal;
use crate::state::{Node, Presence, Provider, Site, Standing, State};

pub(super) fn register_provider(draft: &mut Draft<'_>, label: Label) -> Result<(), Refusal> {
    if draft.index.named(&Named::Provider(label)).is_some() {
        return Err(Refusal::NameTaken { kind: "provider" });
    }
    let provider = ProviderId::derived(draft.id, 0);
    draft.push(Event::ProviderRegistered {
        provider,
        label,
        at: draft.now,
    });
    Ok(())
}

/// The provider, if it exists and has not left.
pub(super) fn staying(state: &State, id: ProviderId) -> Result<&Provider, Refusal> {
    let provider = state
        .providers
        .get(&id)
        .ok_or_else(|| Refusal::not_found("provider", id))?;
    match provider.standing {
        Standing::Active => Ok(provider),
        Standing::Leaving(_) | Standing::Left(_) => Err(Refusal::WrongState {
            kind: "the provider",
            state: "leaving",
            way_out: "register a new provider to come back",
        }),
    }
}

pub(super) fn deposit_bond(
    draft: &mut Draft<'_>,
    provider: ProviderId,
    amount: Money,
    rail: Rail,
) -> Result<(), Refusal> {
    staying(draft.state, provider)?;
    positive("amount", amount)?;
    countable(draft, amount, rail)?;
    let entry = Entry::Transfer {
        id: draft.transfer_id(),
        debit: Account::Rail(rail),
        credit: Account::ProviderBond(provider),
        amount,
        purpose: Purpose::BondDeposit,
    };
    draft.move_money(vec![entry]);
    Ok(())
}

/// Refuses money that would make all there is more than an account can hold. So no account ever
/// can overflow, wherever the money goes later, and no tick is refused for it.
pub(super) fn countable(draft: &Draft<'_>, amount: Money, rail: Rail) -> Result<(), Refusal> {
    let owed = |rail| Money::ZERO.saturating_sub(draft.available(Account::Rail(rail)));
    let sum = owed(Rail::Bank)
        .checked_add(owed(Rail::Chain))
        .and_then(|sum| sum.checked_add(amount));
    let account = Account::Rail(rail);
    sum.map(|_| ())
        .ok_or(Refusal::Money(remuda_ledger::Refusal::Overflow { account }))
}

/// Refuses amounts that move nothing.
pub(super) fn positive(field: &'static str, amount: Money) -> Result<(), Refusal> {
    if amount > Money::ZERO {
        return Ok(());
    }
    let problem = format!("{amount} USD: an amount above zero is expected");
    Err(Refusal::Invalid { field, problem })
}

pub(super) fn register_site(
    draft: &mut Draft<'_>,
    provider: ProviderId,
    label: Label,
    country: Country,
    place: Place,
) -> Result<(), Refusal> {
    staying(draft.state, provider)?;
    if draft.index.named(&Named::Site(provider, label)).is_some() {
        return Err(Refusal::NameTaken { kind: "site" });
    }
    let site = SiteId::derived(draft.id, 0);
    draft.push(Event::SiteRegistered {
        site,
        provider,
        label,
        country,
        place,
    });
    Ok(())
}

pub(super) fn enrol_node(draft: &mut Draft<'_>, terms: &EnrolNode) -> Result<(), Refusal> {
    staying(draft.state, terms.provider)?;
    let site = draft.state.sites.get(&terms.site);
    let site = site.ok_or_else(|| Refusal::not_found("site", terms.site))?;
    if site.provider != terms.provider {
        return Err(Refusal::NotYours {
            kind: "the site",
            owner: "provider",
        });
    }
    if let Some(known) = draft.state.nodes.get(&terms.node) {
        return if known.provider == terms.provider && !matches!(known.presence, Presence::Left(_)) {
            Ok(())
        } else {
            Err(Refusal::NotYours {
                kind: "the node's key",
                owner: "provider",
            })
        };
    }
    if terms.capacity.cpu_milli == 0 || terms.capacity.memory_mib == 0 {
        let problem = "a node without CPU or memory can run nothing".to_owned();
        return Err(Refusal::Invalid {
            field: "capacity",
            problem,
        });
    }
    let capacity = terms.capacity.in_steps();
    check_offer(draft, terms, capacity, site)?;
    cover(draft, terms)?;
    draft.push(Event::NodeEnrolled {
        node: terms.node,
        provider: terms.provider,
        site: terms.site,
        class: terms.class,
        capacity,
        price: terms.price,
        at: draft.now,
    });
    Ok(())
}

/// Placement has the last word on what a node may offer.
fn check_offer(
    draft: &mut Draft<'_>,
    terms: &EnrolNode,
    capacity: Capacity,
    site: &Site,
) -> Result<(), Refusal> {
    let node = Node {
        provider: terms.provider,
        site: terms.site,
        class: terms.class,
        capacity,
        price: terms.price,
        enrolled: draft.now,
        presence: Presence::Away(draft.now),
        leases: BTreeSet::new(),
        drain_tried: None,
        silent_since: None,
        leaves: false,
    };
    let offered = draft.offer(&offer(terms.node, &node, site));
    offered.map_err(|error| Refusal::Invalid {
        field: "capacity",
        problem: error.to_string(),
    })
}

/// The bond must cover the provider's nodes and this one.
fn cover(draft: &Draft<'_>, terms: &EnrolNode) -> Result<(), Refusal> {
    let nodes = draft.index.nodes_of(terms.provider);
    let needed = nodes
        .filter_map(|id| draft.state.nodes.get(&id))
        .map(|node| node.price)
        .chain([terms.price])
        .map(|price| bond::floor(&draft.state.policy, price))
        .fold(Money::ZERO, Money::saturating_add);
    let bond = draft.available(Account::ProviderBond(terms.provider));
    let held = draft.available(Account::ProviderHeld(terms.provider));
    let posted = bond.saturating_add(held);
    if posted >= needed {
        return Ok(());
    }
    Err(Refusal::BondShort {
        posted,
        needed,
        missing: needed.saturating_sub(posted),
    })
}
