//! From what a person writes to an id: ids as they are, names and beginnings of node keys looked up.

use std::str::FromStr;

use remuda_types::{NodeKey, ProjectId, ProviderId, SiteId, TenantId, WorkloadId};

use crate::client::{Client, Error};
use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;

/// A workload by its id or name.
pub(crate) async fn workload(client: &Client, text: &str) -> anyhow::Result<WorkloadId> {
    let all = client.workloads(&[]);
    by_name(("workload", "remuda ps"), text, all, |of| (&of.name, of.id)).await
}

/// A provider by its id or name.
pub(crate) async fn provider(client: &Client, text: &str) -> anyhow::Result<ProviderId> {
    let all = client.providers();
    by_name(("provider", "remuda provider ls"), text, all, |of| {
        (&of.name, of.id)
    })
    .await
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
    let all = client.orders();
    by_name(("standing order", "remuda order ls"), text, all, |of| {
        (&of.name, of.id)
    })
    .await
}

/// A reservation by its id or name.
pub(crate) async fn reservation(client: &Client, text: &str) -> anyhow::Result<WorkloadId> {
    let all = client.reservations();
    by_name(("reservation", "remuda reservation ls"), text, all, |of| {
        (&of.name, of.id)
    })
    .await
}

/// A tenant by its id or name.
pub(crate) async fn tenant(client: &Client, text: &str) -> anyhow::Result<TenantId> {
    let all = client.tenants();
    by_name(("tenant", "remuda tenant ls"), text, all, |of| {
        (&of.name, of.id)
    })
    .await
}

/// A project by its id or name.
pub(crate) async fn project(client: &Client, text: &str) -> anyhow::Result<ProjectId> {
    let all = client.projects();
    by_name(("project", "remuda project ls"), text, all, |of| {
        (&of.name, of.id)
    })
    .await
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

/// The id itself, or that of the only one of all that has the name; they are asked for where needed.
async fn by_name<T, I: Copy + FromStr>(
    (kind, list): (&str, &str),
    text: &str,
    all: impl Future<Output = Result<Vec<T>, Error>>,
    of: impl Fn(&T) -> (&str, I),
) -> anyhow::Result<I> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let all = all.await?;
    let found = all.iter().map(of).filter(|(name, _)| *name == text);
    only(kind, list, text, found.map(|(_, id)| id).collect())
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
