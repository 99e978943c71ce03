//! From what a person writes to an id: ids as they are, names and beginnings of node keys looked up.

use remuda_types::{NodeKey, ProjectId, ProviderId, SiteId, TenantId, WorkloadId};

use crate::client::Client;
use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;

/// A workload by its id or name.
pub(crate) async fn workload(client: &Client, text: &str) -> anyhow::Result<WorkloadId> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let all = client.workloads(&[]).await?;
    let found = all
        .iter()
        .filter(|workload| workload.name == text)
        .map(|workload| workload.id);
    only("workload", "remuda ps", text, found.collect())
}

/// A provider by its id or name.
pub(crate) async fn provider(client: &Client, text: &str) -> anyhow::Result<ProviderId> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let all = client.providers().await?;
    let found = all
        .iter()
        .filter(|provider| provider.name == text)
        .map(|provider| provider.id);
    only("provider", "remuda provider ls", text, found.collect())
}

/// A site by its id or name.
pub(crate) async fn site(client: &Client, text: &str) -> anyhow::Result<SiteId> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let mut found = client.sites().await?;
    found.retain(|site| site.name == text);
    if found.len() > 1 {
        // Who is gone has left its names behind.
        let providers = client.providers().await?;
        let gone = providers.iter().filter(|of| of.standing == "left");
        let gone: Vec<_> = gone.map(|of| of.id).collect();
        found.retain(|site| !gone.contains(&site.provider));
    }
    let found = found.iter().map(|site| site.id);
    only("site", "remuda provider sites", text, found.collect())
}

/// A standing order by its id or name.
pub(crate) async fn order(client: &Client, text: &str) -> anyhow::Result<WorkloadId> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let all = client.orders().await?;
    let found = all
        .iter()
        .filter(|order| order.name == text)
        .map(|order| order.id);
    only("standing order", "remuda order ls", text, found.collect())
}

/// A reservation by its id or name.
pub(crate) async fn reservation(client: &Client, text: &str) -> anyhow::Result<WorkloadId> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let all = client.reservations().await?;
    let found = all
        .iter()
        .filter(|reservation| reservation.name == text)
        .map(|reservation| reservation.id);
    only(
        "reservation",
        "remuda reservation ls",
        text,
        found.collect(),
    )
}

/// A tenant by its id or name.
pub(crate) async fn tenant(client: &Client, text: &str) -> anyhow::Result<TenantId> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let all = client.tenants().await?;
    let found = all
        .iter()
        .filter(|tenant| tenant.name == text)
        .map(|tenant| tenant.id);
    only("tenant", "remuda tenant ls", text, found.collect())
}

/// A project by its id or name.
pub(crate) async fn project(client: &Client, text: &str) -> anyhow::Result<ProjectId> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let all = client.projects().await?;
    let found = all
        .iter()
        .filter(|project| project.name == text)
        .map(|project| project.id);
    only("project", "remuda project ls", text, found.collect())
}

/// The project that pays: the named one, or the profile's; the key's own where neither is.
pub(crate) async fn payer(
    client: &Client,
    context: &Context,
    named: Option<&str>,
) -> anyhow::Result<Option<ProjectId>> {
    match named {
        Some(text) => project(client, text).await.map(Some),
        None => Ok(context.target()?.project),
    }
}

/// A node by its key or the beginning of it.
pub(crate) async fn node(client: &Client, text: &str) -> anyhow::Result<NodeKey> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let all = client.nodes().await?;
    let found = all
        .iter()
        .filter(|node| node.id.to_string().starts_with(text))
        .map(|node| node.id);
    only("node", "remuda node ls", text, found.collect())
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "callers collect for this call alone"
)]
fn only<T: Copy>(kind: &str, list: &str, text: &str, found: Vec<T>) -> anyhow::Result<T> {
    match found[..] {
        [one] => Ok(one),
        [] => {
            let message = format!("there is no {kind} `{text}`");
            Err(Failure::new(Exit::NotFound, message, format!("`{list}` lists them")).into())
        }
        _ => {
            let message = format!("`{text}` names {} {kind}s", found.len());
            Err(Failure::new(Exit::Usage, message, format!("give the id, as in `{list}`")).into())
        }
    }
}
