//! `remuda top`: what runs and where, redrawn every second.

use std::time::Duration;

use remuda_wire::api::network::Plan;
use remuda_wire::api::node::Node;
use remuda_wire::api::replica::Workload;
use serde::Serialize;

use crate::client::Client;
use crate::context::Context;
use crate::{clock, view};

/// What runs and where, redrawn every second
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Between two looks, as in `1s`
    #[arg(long, value_name = "SPAN", default_value = "1s", value_parser = humantime::parse_duration)]
    every: Duration,
    /// Look only so often
    #[arg(long, value_name = "COUNT")]
    count: Option<u64>,
}

/// One look.
#[derive(Serialize)]
struct Look {
    at_ms: u64,
    seq: u64,
    plan: Option<Plan>,
    nodes: Vec<Node>,
    workloads: Vec<Workload>,
}

pub(crate) async fn run(args: Args, context: &Context) -> anyhow::Result<()> {
    let client = context.client()?;
    let mut ticks = tokio::time::interval(args.every.max(Duration::from_millis(100)));
    let mut left = args.count.unwrap_or(u64::MAX);
    while left > 0 {
        ticks.tick().await;
        let look = Look::take(&client).await?;
        if context.output.is_terminal() {
            context
                .output
                .redraw(&look.text(context.output.has_color()))?;
        } else {
            context.output.item(&look, |look| look.text(false))?;
        }
        left -= 1;
    }
    Ok(())
}

impl Look {
    async fn take(client: &Client) -> anyhow::Result<Self> {
        let (network, nodes, workloads) =
            tokio::try_join!(client.network(), client.nodes(), client.workloads(&[]))?;
        Ok(Self {
            at_ms: clock::now().as_millis(),
            seq: network.seq,
            plan: network.plan,
            nodes,
            workloads,
        })
    }

    fn text(&self, color: bool) -> String {
        format!(
            "{}  record {}  {}\n\n{}\n\n{}\n",
            view::instant(self.at_ms),
            self.seq,
            view::plan(self.plan.as_ref()),
            view::nodes(&self.nodes).render(color),
            view::workloads(&self.workloads).render(color)
        )
    }
}
