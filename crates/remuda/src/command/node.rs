//! `remuda node`: the node daemon, and the machines of the network.

use clap::{Args, Subcommand};
use remuda_wire::api::node::Node;
use remuda_wire::api::provider::SiteDrain;

use crate::context::Context;
use crate::table::details;
use crate::{find, view};

mod run;

/// Machines: run the daemon, list, show, drain, resume
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the node daemon: what this machine offers, and what is assigned to it
    Run(Box<run::Args>),
    /// Move the leases of a node, or of all nodes of a site, away and give them no new ones
    ///
    /// What runs serves where it is until it serves elsewhere; what has no place elsewhere stays. Nothing
    /// moves from one node of a site that drains to another. `remuda node resume` ends it. A node that is
    /// lost, or whose daemon is stopped when it is empty, takes leases again as soon as it is back.
    Drain(Which),
    /// Give leases again to a node that drains, or to all nodes of a site that drain
    ///
    /// What already moves away goes on moving.
    Resume(Which),
    /// List nodes
    Ls,
    /// Show one node
    Show {
        /// Its key, or the beginning of it
        node: String,
    },
}

/// A node, or a site's nodes.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Its key, or the beginning of it
    #[arg(required_unless_present = "site")]
    node: Option<String>,
    /// All nodes of this site at once, by its id or name
    #[arg(long, conflicts_with = "node")]
    site: Option<String>,
}

impl Which {
    /// The name of the node; clap has it that there is one where there is no site.
    fn node(self) -> String {
        self.node.unwrap_or_default()
    }
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
        Command::Drain(Which {
            site: Some(site), ..
        }) => {
            let client = context.client()?;
            let drain = client.drain_site(find::site(&client, &site).await?).await?;
            return Ok(context.output.show(&drain, show_drain)?);
        }
        Command::Resume(Which {
            site: Some(site), ..
        }) => {
            let client = context.client()?;
            let drain = client.resume_site(find::site(&client, &site).await?);
            return Ok(context.output.show(&drain.await?, show_drain)?);
        }
        Command::Drain(which) => {
            let client = context.client()?;
            client
                .drain(find::node(&client, &which.node()).await?)
                .await?
        }
        Command::Resume(which) => {
            let client = context.client()?;
            let node = find::node(&client, &which.node()).await?;
            client.resume(node).await?
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

fn show_drain(drain: &SiteDrain) -> String {
    let mut lines = vec![
        ("site", drain.site.to_string()),
        ("nodes that drain", drain.draining.to_string()),
        ("nodes open", drain.open.to_string()),
        ("leases", drain.leases.to_string()),
        ("moving", drain.moving.to_string()),
        ("staying", drain.staying.to_string()),
    ];
    let whys = drain.why_staying.iter();
    lines.extend(whys.map(|stays| ("stays", format!("{}: {}", stays.lease, stays.why))));
    details(&lines)
}
