//! `remuda status`: the network at a glance.

use std::collections::BTreeMap;

use remuda_wire::api::network::NetworkInfo;
use remuda_wire::api::node::Node;
use remuda_wire::api::replica::Workload;
use serde::Serialize;

use crate::client::Client;
use crate::context::Context;
use crate::table::details;

/// The network at a glance
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// What is to be seen of the network with this key; without one, control alone.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Status {
    url: String,
    version: String,
    seq: u64,
    writable: bool,
    why_read_only: Option<String>,
    gateways: Option<u64>,
    #[serde(flatten)]
    things: Option<Things>,
}

/// What needs a key.
#[derive(Clone, Debug, Serialize)]
struct Things {
    nodes: BTreeMap<String, usize>,
    workloads: usize,
    replicas: BTreeMap<String, usize>,
    ledger_total_micros: Option<i64>,
}

pub(crate) async fn run(_: Args, context: &Context) -> anyhow::Result<()> {
    let client = context.client()?;
    let mut status = Status::of_control(&client).await?;
    if context.target()?.key.is_some() {
        let (nodes, workloads) = (client.nodes().await?, client.workloads(&[]).await?);
        status.things = Some(Things::of(&client, &nodes, &workloads).await?);
    }
    Ok(context.output.show(&status, Status::text)?)
}

impl Status {
    async fn of_control(client: &Client) -> anyhow::Result<Self> {
        let NetworkInfo { version, seq, .. } = client.network().await?;
        let ready = client.ready().await?;
        Ok(Self {
            url: client.url().to_string(),
            version,
            seq,
            writable: ready.writable,
            why_read_only: ready.why,
            gateways: client.gateways().await?,
            things: None,
        })
    }

    fn text(&self) -> String {
        let writable = match &self.why_read_only {
            Some(why) => format!("READ-ONLY: {why}"),
            None => "takes commands".to_owned(),
        };
        let mut lines = vec![
            (
                "control",
                format!("{} (version {}), {writable}", self.url, self.version),
            ),
            ("journal", format!("record {}", self.seq)),
        ];
        lines.extend(
            self.gateways
                .map(|gateways| ("gateways", gateways.to_string())),
        );
        if let Some(things) = &self.things {
            lines.push(("nodes", counts(&things.nodes)));
            lines.push(("workloads", things.workloads.to_string()));
            lines.push(("replicas", counts(&things.replicas)));
            lines.extend(
                things
                    .ledger_total_micros
                    .map(|total| ("ledger", ledger(total))),
            );
        }
        details(&lines)
    }
}

impl Things {
    async fn of(client: &Client, nodes: &[Node], workloads: &[Workload]) -> anyhow::Result<Self> {
        let replicas = workloads.iter().flat_map(|workload| &workload.replicas);
        Ok(Self {
            nodes: count(nodes.iter().map(|node| node.presence.as_str())),
            workloads: workloads.len(),
            replicas: count(replicas.map(|replica| replica.phase.as_str())),
            ledger_total_micros: client.accounts().await?.total_micros,
        })
    }
}

fn count<'w>(words: impl Iterator<Item = &'w str>) -> BTreeMap<String, usize> {
    words.fold(BTreeMap::new(), |mut counts, word| {
        *counts.entry(word.to_owned()).or_default() += 1;
        counts
    })
}

fn counts(counts: &BTreeMap<String, usize>) -> String {
    let all: usize = counts.values().sum();
    let parts: Vec<String> = counts
        .iter()
        .map(|(word, count)| format!("{count} {word}"))
        .collect();
    if parts.is_empty() {
        "0".to_owned()
    } else {
        format!("{all} ({})", parts.join(", "))
    }
}

fn ledger(total_micros: i64) -> String {
    if total_micros == 0 {
        return "whole: all accounts sum to 0".to_owned();
    }
    format!("BROKEN: all accounts sum to {total_micros} micro-USD")
}
