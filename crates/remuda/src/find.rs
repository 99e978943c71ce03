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
    let all = client.sites().await?;
    let found = all
        .iter()
        .filter(|site| site.name == text)
        .map(|site| site.id);
    only("site", "remuda provider sites", text, found.collect())
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
