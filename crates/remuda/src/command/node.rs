//! `remuda node`: the node daemon, and the machines of the network.

use clap::Subcommand;
use remuda_wire::api::node::Node;

use crate::context::Context;
use crate::table::details;
use crate::{find, view};

mod run;

/// Machines: run the daemon, list, show, drain
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the node daemon: what this machine offers, and what is assigned to it
    Run(Box<run::Args>),
    /// Move a node's leases away and give it no new ones
    Drain {
        /// Its key, or the beginning of it
        node: String,
    },
    /// List nodes
    Ls,
    /// Show one node
    Show {
        /// Its key, or the beginning of it
        node: String,
    },
}

impl Command {
    /// Whether it runs until it is stopped.
    pub(crate) const fn is_runner(&self) -> bool {
        matches!(self, Self::Run(_))
    }
}

pub(crate) async fn run(command: Command, context: &Context) -> anyhow::Result<()> {
    let node = match command {
        Command::Run(args) => return Box::pin(run::run(*args, context)).await,
        Command::Ls => {
            let nodes = context.client()?.nodes().await?;
            return Ok(context.output.table(&nodes, |nodes| view::nodes(nodes))?);
        }
        Command::Drain { node } => {
            let client = context.client()?;
            client.drain(find::node(&client, &node).await?).await?
        }
        Command::Show { node } => {
            let client = context.client()?;
            client.node(find::node(&client, &node).await?).await?
        }
    };
    Ok(context.output.show(&node, show)?)
}

fn show(node: &Node) -> String {
    let leases: Vec<String> = node.leases.iter().map(ToString::to_string).collect();
    details(&[
        ("id", node.id.to_string()),
        ("provider", node.provider.to_string()),
        ("site", node.site.to_string()),
        ("country", node.country.to_string()),
        ("class", node.class.to_string()),
        (
            "presence",
            format!("{} since {}", node.presence, view::instant(node.since_ms)),
        ),
        (
            "GPUs",
            format!(
                "{} of {} whole ones free",
                node.free.whole_gpus, node.capacity.gpus
            ),
        ),
        (
            "CPU",
            format!(
                "{} of {} cores free",
                view::milli(node.free.cpu_milli),
                view::milli(node.capacity.cpu_milli)
            ),
        ),
        (
            "memory",
            format!(
                "{} of {} free",
                view::memory(node.free.memory_mib),
                view::memory(node.capacity.memory_mib)
            ),
        ),
        ("price", format!("{} USD/h", node.price_usd_per_hour)),
        ("leases", leases.join(", ")),
    ])
}
