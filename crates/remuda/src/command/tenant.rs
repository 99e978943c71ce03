//! `remuda tenant`: organisations that buy.

use clap::Subcommand;
use remuda_wire::api::tenant::Rail;

use super::amount::{self, Amount};
use crate::context::Context;
use crate::{find, view};

/// Organisations that buy: create, top up
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create a tenant
    Create {
        /// Its name; one tenant has it
        name: String,
    },
    /// Bring money in for a tenant
    TopUp {
        /// Id or name
        tenant: String,
        /// In dollars
        #[arg(value_name = "USD")]
        amount: Amount,
        /// By which way the money comes
        #[arg(long, value_name = "RAIL", default_value = "bank", value_parser = amount::rail)]
        rail: Rail,
    },
    /// List tenants
    Ls,
}

pub(crate) async fn run(command: Command, context: &Context) -> anyhow::Result<()> {
    let client = context.client()?;
    let tenant = match command {
        Command::Create { name } => client.create_tenant(name).await?,
        Command::TopUp {
            tenant,
            amount,
            rail,
        } => {
            let tenant = find::tenant(&client, &tenant).await?;
            client.top_up(tenant, &amount.deposit(rail)).await?
        }
        Command::Ls => {
            return Ok(context
                .output
                .table(&client.tenants().await?, |all| view::tenants(all))?);
        }
    };
    Ok(context.output.table(&tenant, |tenant| {
        view::tenants(std::slice::from_ref(tenant))
    })?)
}
