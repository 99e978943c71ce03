//! `remuda project`: tenants' projects and their budgets.

use clap::Subcommand;
use remuda_wire::api::tenant::FundBudget;

use super::amount::Amount;
use crate::context::Context;
use crate::{find, view};

/// Tenants' projects: create, fund
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create a project
    Create {
        /// The tenant's id or name
        tenant: String,
        /// Its name; unique within the tenant
        name: String,
    },
    /// Move prepaid money of the tenant into the project's budget
    Fund {
        /// Id or name
        project: String,
        /// In dollars
        #[arg(value_name = "USD")]
        amount: Amount,
    },
    /// List projects
    Ls,
}

pub(crate) async fn run(command: Command, context: &Context) -> anyhow::Result<()> {
    let client = context.client()?;
    let project = match command {
        Command::Create { tenant, name } => {
            client
                .create_project(find::tenant(&client, &tenant).await?, name)
                .await?
        }
        Command::Fund { project, amount } => {
            let project = find::project(&client, &project).await?;
            client
                .fund(
                    project,
                    &FundBudget {
                        amount_usd: amount.usd(),
                    },
                )
                .await?
        }
        Command::Ls => {
            return Ok(context
                .output
                .table(&client.projects().await?, |all| view::projects(all))?);
        }
    };
    Ok(context.output.table(&project, |project| {
        view::projects(std::slice::from_ref(project))
    })?)
}
