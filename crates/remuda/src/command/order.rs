//! `remuda order`: what is to run as soon as there is room for it.

use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;
use remuda_wire::api::later::PlaceOrder;

use super::cancelled;
use crate::context::Context;
use crate::spec::Spec;
use crate::{clock, find, view};

/// Standing orders: have something run as soon as there is room for it, at a price that it allows
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Deploy what the YAML file says, or have the order stand until there is room for all of it
    ///
    /// The most that a copy may cost is `placement.max_price_usd_per_hour` of the spec.
    Place {
        /// The spec
        spec: PathBuf,
        /// How long the order stands, as in `7d`
        #[arg(long = "for", value_name = "SPAN", value_parser = clock::length)]
        stands_for: Duration,
        /// The project that pays: id or name; the profile's or the key's own if not given
        #[arg(long)]
        project: Option<String>,
    },
    /// Take an order back
    Cancel {
        /// Its id or name
        order: String,
    },
    /// List standing orders
    Ls,
}

pub(crate) async fn run(command: Command, context: &Context) -> anyhow::Result<()> {
    let client = context.client()?;
    let order = match command {
        Command::Place {
            spec,
            stands_for,
            project,
        } => {
            let project = find::payer(&client, context, project.as_deref()).await?;
            let spec = Spec::read(&spec)?;
            let order = PlaceOrder {
                workload: spec.workload.clone(),
                until_ms: (clock::now() + clock::span(stands_for)).as_millis(),
            };
            let flags = &[("/until_ms", "--for")];
            spec.explained(client.place_order(project, &order).await, flags)?
        }
        Command::Cancel { order } => {
            let order = find::order(&client, &order).await?;
            client.cancel_order(order).await?;
            return cancelled::tell(order, context);
        }
        Command::Ls => {
            let all = client.orders().await?;
            return Ok(context.output.table(&all, |all| view::orders(all))?);
        }
    };
    Ok(context
        .output
        .table(&order, |order| view::orders(std::slice::from_ref(order)))?)
}
