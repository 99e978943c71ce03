//! `remuda provider`: owners of nodes, their bonds and sites.

use std::io::{self, BufRead, IsTerminal, Write};

use clap::Subcommand;
use remuda_types::{Country, Place};
use remuda_wire::api::provider::{LeaveManner, Provider, RegisterSite};
use remuda_wire::api::tenant::Rail;

use super::amount::Amount;
use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::table::details;
use crate::{find, view};

/// Owners of nodes: join, bond, name sites, leave
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Join the network as an owner of nodes
    Join {
        /// Its name; one provider has it
        name: String,
        /// Deposit this bond at once, in dollars
        #[arg(long, value_name = "USD")]
        bond: Option<Amount>,
    },
    /// Deposit a bond
    Bond {
        /// Id or name
        provider: String,
        /// In dollars
        #[arg(value_name = "USD")]
        amount: Amount,
        /// By which way the money comes
        #[arg(long, value_name = "RAIL", default_value = "bank", value_parser = super::amount::rail)]
        rail: Rail,
    },
    /// Name a place where nodes stand
    Site {
        /// Id or name
        provider: String,
        /// The site's name; unique within the provider
        name: String,
        /// ISO 3166-1 alpha-2, in capitals
        #[arg(long)]
        country: Country,
        /// Degrees north
        #[arg(long, allow_negative_numbers = true)]
        latitude: f64,
        /// Degrees east
        #[arg(long, allow_negative_numbers = true)]
        longitude: f64,
    },
    /// List sites
    Sites,
    /// List providers
    Ls,
    /// Show one provider
    Show {
        /// Id or name
        provider: String,
    },
    /// Leave the network: with notice, or now for a fee
    Leave {
        /// Id or name
        provider: String,
        /// At once: the early-exit fee is forfeited
        #[arg(long)]
        now: bool,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

pub(crate) async fn run(command: Command, context: &Context) -> anyhow::Result<()> {
    let client = context.client()?;
    let provider = match command {
        Command::Join { name, bond } => {
            let provider = client.register_provider(name).await?;
            match bond {
                Some(bond) => {
                    client
                        .deposit_bond(provider.id, &bond.deposit(Rail::Bank))
                        .await?
                }
                None => provider,
            }
        }
        Command::Bond {
            provider,
            amount,
            rail,
        } => {
            let provider = find::provider(&client, &provider).await?;
            client.deposit_bond(provider, &amount.deposit(rail)).await?
        }
        Command::Site {
            provider,
            name,
            country,
            latitude,
            longitude,
        } => {
            Place::from_degrees(latitude, longitude).map_err(|error| {
                Failure::new(
                    Exit::Usage,
                    error.to_string(),
                    "give degrees north and east",
                )
            })?;
            let provider = find::provider(&client, &provider).await?;
            let asked = RegisterSite {
                name,
                country,
                latitude,
                longitude,
            };
            let site = client.register_site(provider, &asked).await?;
            let table = |site: &_| view::sites(std::slice::from_ref(site));
            return Ok(context.output.table(&site, table)?);
        }
        Command::Sites => {
            return Ok(context
                .output
                .table(&client.sites().await?, |sites| view::sites(sites))?);
        }
        Command::Ls => {
            let all = client.providers().await?;
            return Ok(context.output.table(&all, |all| view::providers(all))?);
        }
        Command::Show { provider } => {
            client
                .provider(find::provider(&client, &provider).await?)
                .await?
        }
        Command::Leave { provider, now, yes } => {
            let provider = find::provider(&client, &provider).await?;
            if now && !yes {
                confirm(&client.provider(provider).await?)?;
            }
            let manner = if now {
                LeaveManner::Now
            } else {
                LeaveManner::Notice
            };
            client.leave(provider, manner).await?
        }
    };
    Ok(context.output.show(&provider, show)?)
}

fn show(provider: &Provider) -> String {
    let mut lines = vec![
        ("id", provider.id.to_string()),
        ("name", provider.name.clone()),
        ("standing", provider.standing.clone()),
        ("joined", view::instant(provider.joined_ms)),
        ("nodes", provider.nodes.to_string()),
        ("bond", format!("{} USD", provider.bond_usd)),
        ("held", format!("{} USD", provider.held_usd)),
        ("available", format!("{} USD", provider.available_usd)),
    ];
    if let Some(leaves) = provider.leaves_ms {
        lines.push(("leaves", view::instant(leaves)));
    }
    details(&lines)
}

/// Leaving at once costs money that does not come back.
fn confirm(provider: &Provider) -> anyhow::Result<()> {
    let question = format!(
        "{} leaves at once: its {} nodes stop, and the early-exit fee comes off the {} USD held \
         back and the bond of {} USD.",
        provider.name, provider.nodes, provider.held_usd, provider.bond_usd
    );
    let way_out = "say `--yes` if that is meant, or leave with notice, without `--now`";
    if !io::stdin().is_terminal() {
        return Err(Failure::new(Exit::Usage, question, way_out).into());
    }
    let mut err = io::stderr().lock();
    write!(err, "{question}\nType the provider's name to go on: ")?;
    err.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    if answer.trim() == provider.name {
        return Ok(());
    }
    Err(Failure::new(Exit::Usage, "not confirmed: nothing was done", way_out).into())
}
