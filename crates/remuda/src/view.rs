//! Things of the network as tables and lines for people.

use std::time::Duration;

use remuda_types::{NodeKey, Time};
use remuda_wire::api::key::ApiKey;
use remuda_wire::api::later::{Reservation, StandingOrder};
use remuda_wire::api::ledger::AccountBalance;
use remuda_wire::api::model::Model;
use remuda_wire::api::network::Plan;
use remuda_wire::api::node::{Free, Node, Offer};
use remuda_wire::api::provider::{Provider, Site};
use remuda_wire::api::replica::{Placement, Replica, Workload};
use remuda_wire::api::tenant::{Project, Tenant};

use crate::clock;
use crate::table::Table;

/// Characters of a node's key in a table; `remuda node` takes them for the key.
const NODE_CHARS: usize = 13;

const MIB_PER_GIB: u64 = 1_024;

/// The beginning of a node's key.
pub(crate) fn node_name(node: NodeKey) -> String {
    node.to_string().chars().take(NODE_CHARS).collect()
}

/// How long ago, in its two largest units: `3days 4h`.
pub(crate) fn ago(since_ms: u64) -> String {
    let span = clock::now().as_millis().saturating_sub(since_ms);
    let whole_seconds = Duration::from_secs(span / 1_000);
    let text = humantime::format_duration(whole_seconds).to_string();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// An instant as RFC 3339; its last one for what lies beyond.
pub(crate) fn instant(at_ms: u64) -> String {
    let at_ms = at_ms.min(Time::LAST_WRITABLE.as_millis());
    let at = std::time::UNIX_EPOCH + Duration::from_millis(at_ms);
    humantime::format_rfc3339_millis(at).to_string()
}

/// The plan that is followed, in a few words: `plan 12, 0.13 % over the least possible cost`.
pub(crate) fn plan(plan: Option<&Plan>) -> String {
    let Some(plan) = plan else {
        return "no plan yet".to_owned();
    };
    let gap = plan.gap_ppm.map(|ppm| {
        let percent_hundredths = ppm.div_ceil(100);
        let (whole, part) = (percent_hundredths / 100, percent_hundredths % 100);
        format!(", {whole}.{part:02} % over the least possible cost")
    });
    let unserved = plan.unserved_gpu_milli.filter(|milli| *milli > 0);
    let unserved = unserved.map(|gpus| format!(", no place for {} GPUs", milli(gpus)));
    let number = plan.number;
    format!(
        "plan {number}{}{}",
        gap.unwrap_or_default(),
        unserved.unwrap_or_default()
    )
}

/// MiB as GiB, where they are whole enough.
pub(crate) fn memory(mib: u64) -> String {
    if mib < MIB_PER_GIB {
        return format!("{mib} MiB");
    }
    format!(
        "{}.{} GiB",
        mib / MIB_PER_GIB,
        mib % MIB_PER_GIB * 10 / MIB_PER_GIB
    )
}

/// Thousandths as a decimal number: `0.5`, `8`.
pub(crate) fn milli(thousandths: u64) -> String {
    let text = format!("{}.{:03}", thousandths / 1_000, thousandths % 1_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn free(free: &Free) -> String {
    let gpus = (free.gpu_milli > 0).then(|| format!("{} GPU, ", milli(free.gpu_milli)));
    let rest = format!("{} CPU, {}", milli(free.cpu_milli), memory(free.memory_mib));
    gpus.unwrap_or_default() + &rest
}

pub(crate) fn providers(providers: &[Provider]) -> Table {
    Table::new([
        "ID",
        "NAME",
        "STANDING",
        "NODES",
        "BOND",
        "HELD",
        "AVAILABLE",
    ])
    .when_empty("no providers yet: `remuda provider join NAME`")
    .rows(providers.iter().map(|provider| {
        [
            provider.id.to_string(),
            provider.name.clone(),
            provider.standing.clone(),
            provider.nodes.to_string(),
            provider.bond_usd.to_string(),
            provider.held_usd.to_string(),
            provider.available_usd.to_string(),
        ]
    }))
}

pub(crate) fn sites(sites: &[Site]) -> Table {
    Table::new(["ID", "NAME", "PROVIDER", "COUNTRY", "PLACE"])
        .when_empty("no sites yet: `remuda provider site PROVIDER NAME`")
        .rows(sites.iter().map(|site| {
            [
                site.id.to_string(),
                site.name.clone(),
                site.provider.to_string(),
                site.country.to_string(),
                format!("{:.3}, {:.3}", site.latitude, site.longitude),
            ]
        }))
}

pub(crate) fn nodes(nodes: &[Node]) -> Table {
    Table::new([
        "NODE", "CLASS", "COUNTRY", "PRESENCE", "SINCE", "LEASES", "FREE", "USD/H",
    ])
    .when_empty("no nodes yet: `remuda node run` on a machine joins it")
    .rows(nodes.iter().map(|node| {
        [
            node_name(node.id),
            node.class.to_string(),
            node.country.to_string(),
            node.presence.clone(),
            ago(node.since_ms),
            node.leases.len().to_string(),
            free(&node.free),
            node.price_usd_per_hour.to_string(),
        ]
    }))
}

pub(crate) fn offers(offers: &[Offer]) -> Table {
    Table::new(["NODE", "PROVIDER", "CLASS", "COUNTRY", "FREE", "USD/H"])
        .when_empty("nothing can be had now")
        .rows(offers.iter().map(|offer| {
            [
                node_name(offer.node),
                offer.provider_name.clone(),
                offer.class.to_string(),
                offer.country.to_string(),
                free(&offer.free),
                offer.price_usd_per_hour.to_string(),
            ]
        }))
}

pub(crate) fn tenants(tenants: &[Tenant]) -> Table {
    Table::new(["ID", "NAME", "PREPAID", "CREDIT"])
        .when_empty("no tenants yet: `remuda tenant create NAME`")
        .rows(tenants.iter().map(|tenant| {
            [
                tenant.id.to_string(),
                tenant.name.clone(),
                tenant.prepaid_usd.to_string(),
                tenant.credit_usd.to_string(),
            ]
        }))
}

pub(crate) fn projects(projects: &[Project]) -> Table {
    Table::new(["ID", "NAME", "TENANT", "BUDGET", "RESERVED", "AVAILABLE"])
        .when_empty("no projects yet: `remuda project create TENANT NAME`")
        .rows(projects.iter().map(|project| {
            [
                project.id.to_string(),
                project.name.clone(),
                project.tenant.to_string(),
                project.budget.posted_usd.to_string(),
                project.budget.reserved_usd.to_string(),
                project.budget.available_usd.to_string(),
            ]
        }))
}

pub(crate) fn keys(keys: &[ApiKey]) -> Table {
    Table::new(["ID", "PREFIX", "OWNER", "SCOPES", "STATE"]).rows(keys.iter().map(|key| {
        let scopes: Vec<_> = key.scopes.iter().map(word).collect();
        [
            key.id.to_string(),
            key.prefix.clone(),
            key.owner.to_string(),
            scopes.join(","),
            key_state(key),
        ]
    }))
}

fn key_state(key: &ApiKey) -> String {
    match (key.revoked_ms, key.expires_ms) {
        (Some(revoked), _) => format!("revoked {} ago", ago(revoked)),
        (None, Some(expires)) => format!("valid until {}", instant(expires)),
        (None, None) => "valid".to_owned(),
    }
}

/// The word that an enum of the API travels as.
pub(crate) fn word(value: &impl serde::Serialize) -> String {
    let json = serde_json::to_value(value).unwrap_or_default();
    json.as_str().unwrap_or_default().to_owned()
}

pub(crate) fn models(models: &[Model]) -> Table {
    Table::new(["NAME", "SIZE", "DIGEST"])
        .when_empty("no models yet: `remuda model add NAME FILE`")
        .rows(models.iter().map(|model| {
            let mib = model.bytes / (1_024 * 1_024);
            [model.name.clone(), memory(mib), model.digest.to_string()]
        }))
}

pub(crate) fn accounts(accounts: &[AccountBalance]) -> Table {
    Table::new(["ACCOUNT", "POSTED", "RESERVED", "AVAILABLE"]).rows(accounts.iter().map(
        |account| {
            [
                account.account.clone(),
                account.balance.posted_usd.to_string(),
                account.balance.reserved_usd.to_string(),
                account.balance.available_usd.to_string(),
            ]
        },
    ))
}

/// One row a replica: what runs, where and how it goes.
pub(crate) fn workloads(workloads: &[Workload]) -> Table {
    let rows = workloads
        .iter()
        .flat_map(|of| of.replicas.iter().map(move |replica| (of, replica)));
    Table::new([
        "WORKLOAD", "KIND", "REPLICA", "PHASE", "NODE", "PROVIDER", "COUNTRY", "USD/H", "AGE",
    ])
    .when_empty("nothing runs: `remuda deploy SPEC.yaml` or `remuda model deploy NAME`")
    .rows(rows.map(|(of, replica)| {
        let [node, provider, country, price] = place(replica.placement.as_ref());
        [
            of.name.clone(),
            of.kind.clone(),
            replica.id.to_string(),
            phase(of, replica),
            node,
            provider,
            country,
            price,
            ago(of.created_ms),
        ]
    }))
}

/// Standing orders.
pub(crate) fn orders(orders: &[StandingOrder]) -> Table {
    Table::new([
        "ORDER",
        "WORKLOAD",
        "STATE",
        "UNTIL",
        "TRIED",
        "AGE",
        "WAITS FOR",
    ])
    .when_empty("no order stands: `remuda order place SPEC.yaml --for 7d`")
    .rows(orders.iter().map(|of| {
        [
            of.id.to_string(),
            of.name.clone(),
            of.state.clone(),
            of.until_ms.map_or_else(String::new, instant),
            of.attempts.to_string(),
            ago(of.created_ms),
            waits_for(of),
        ]
    }))
}

/// Why an order waits, and what would help, in one line.
fn waits_for(of: &StandingOrder) -> String {
    let said = [&of.why, &of.way_out].into_iter().flatten();
    said.map(String::as_str).collect::<Vec<_>>().join("; ")
}

/// Reservations.
pub(crate) fn reservations(reservations: &[Reservation]) -> Table {
    Table::new([
        "RESERVATION",
        "WORKLOAD",
        "STATE",
        "FROM",
        "TO",
        "PLACES",
        "USD/H AT MOST",
    ])
    .when_empty("nothing is reserved: `remuda reservation make SPEC.yaml --from TIME --for 12h`")
    .rows(reservations.iter().map(|of| {
        [
            of.id.to_string(),
            of.name.clone(),
            of.state.clone(),
            instant(of.from_ms),
            instant(of.to_ms),
            of.places.to_string(),
            of.max_price_usd_per_hour
                .map_or_else(String::new, |price| price.to_string()),
        ]
    }))
}

/// How a replica goes, and how it last ended while it waits.
pub(crate) fn phase(of: &Workload, replica: &Replica) -> String {
    match &replica.last_end {
        _ if of.state != "running" => of.state.clone(),
        Some(end) if replica.phase == "waiting" => format!("waiting ({end})"),
        _ => replica.phase.clone(),
    }
}

fn place(placement: Option<&Placement>) -> [String; 4] {
    let Some(at) = placement else {
        return ["-", "-", "-", "-"].map(str::to_owned);
    };
    [
        node_name(at.node),
        at.provider_name.clone(),
        at.country.to_string(),
        at.price_usd_per_hour.to_string(),
    ]
}

/// Where a replica was placed, and why there.
pub(crate) fn placed(replica: &Replica) -> String {
    let Some(at) = &replica.placement else {
        return format!("{}  waiting for capacity", replica.id);
    };
    let why = at
        .why
        .as_ref()
        .map(|why| format!("\n  why: {why}"))
        .unwrap_or_default();
    format!(
        "{}  on {} of {} in {} at {} USD/h{why}",
        replica.id,
        node_name(at.node),
        at.provider_name,
        at.country,
        at.price_usd_per_hour
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        assert_eq!([milli(500), milli(8_000), milli(0)], ["0.5", "8", "0"]);
        assert_eq!([memory(512), memory(1_536)], ["512 MiB", "1.5 GiB"]);
        assert_eq!(instant(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(instant(u64::MAX), "9999-12-31T23:59:59.999Z");
    }
}
