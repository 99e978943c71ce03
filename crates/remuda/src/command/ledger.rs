//! `remuda ledger`: accounts, statements, budgets.

use clap::Subcommand;
use remuda_types::{IdError, ProjectId, ProviderId};
use remuda_wire::api::ledger::{Accounts, Line, Statement};
use remuda_wire::api::tenant::FundBudget;

use super::amount::Amount;
use crate::context::Context;
use crate::table::Table;
use crate::{find, view};

/// Accounts, statements and budgets
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the accounts that have money or a reservation
    Accounts,
    /// What a project was charged or a provider earned, and every movement
    Statement {
        /// A project (`prj_…`), a provider (`pro_…`) or an account; the key's own if not given
        #[arg(value_parser = Subject::of)]
        subject: Option<Subject>,
    },
    /// Move prepaid money of the tenant into a project's budget
    Fund {
        /// Id or name
        project: String,
        /// In dollars
        #[arg(value_name = "USD")]
        amount: Amount,
    },
}

pub(crate) async fn run(command: Command, context: &Context) -> anyhow::Result<()> {
    let client = context.client()?;
    match command {
        Command::Accounts => Ok(context.output.show(&client.accounts().await?, accounts)?),
        Command::Statement { subject } => {
            let own = context.target()?.project.map(Subject::Project);
            let query: Vec<_> = subject.or(own).map(Subject::query).into_iter().collect();
            Ok(context
                .output
                .show(&client.statement(&query).await?, statement)?)
        }
        Command::Fund { project, amount } => {
            let project = find::project(&client, &project).await?;
            let project = client
                .fund(
                    project,
                    &FundBudget {
                        amount_usd: amount.usd(),
                    },
                )
                .await?;
            let table = |project: &_| view::projects(std::slice::from_ref(project));
            Ok(context.output.table(&project, table)?)
        }
    }
}

/// Whose statement it is.
#[derive(Clone, Debug)]
pub(crate) enum Subject {
    Project(ProjectId),
    Provider(ProviderId),
    Account(String),
}

impl Subject {
    /// What kind of thing it is, its prefix says; control knows which accounts there are.
    fn of(text: &str) -> Result<Self, IdError> {
        match text.split_once('_') {
            Some(("prj", _)) => text.parse().map(Self::Project),
            Some(("pro", _)) => text.parse().map(Self::Provider),
            _ => Ok(Self::Account(text.to_owned())),
        }
    }

    fn query(self) -> (&'static str, String) {
        match self {
            Self::Project(project) => ("project", project.to_string()),
            Self::Provider(provider) => ("provider", provider.to_string()),
            Self::Account(account) => ("account", account),
        }
    }
}

fn accounts(accounts: &Accounts) -> String {
    let table = view::accounts(&accounts.data).render(false);
    match accounts.total_micros {
        Some(0) => format!("{table}\nall accounts of the network sum to 0"),
        Some(total) => {
            format!("{table}\nALL ACCOUNTS SUM TO {total} micro-USD: they must sum to 0")
        }
        None => table,
    }
}

fn statement(statement: &Statement) -> String {
    let mut parts = vec![format!("statement of {}", statement.subject)];
    parts.push(view::accounts(&statement.balances).render(false));
    if let Some(charged) = &statement.charged {
        parts.push(format!(
            "charged: {} USD for {} s of leases; {} USD for {} requests ({} prompt and {} completion \
             tokens)\nnot charged: {} s starting, {} s suspect, {} s silent\n\
             paid by providers for broken leases: {} USD",
            charged.leases.amount_usd,
            seconds(charged.leases.ready_ms),
            charged.tokens_usd,
            charged.requests,
            charged.prompt_tokens,
            charged.completion_tokens,
            seconds(charged.leases.starting_ms),
            seconds(charged.leases.suspect_ms),
            seconds(charged.leases.silent_ms),
            charged.compensated_usd,
        ));
    }
    if let Some(earned) = &statement.earned {
        parts.push(format!(
            "earned: {} USD for {} s of leases, {} USD for {} tokens; forfeited: {} USD held back, \
             {} USD of the bond",
            earned.leases_usd,
            seconds(earned.ready_ms),
            earned.tokens_usd,
            earned.completion_tokens,
            earned.forfeited_held_usd,
            earned.forfeited_bond_usd,
        ));
    }
    parts.push(lines(&statement.data).render(false));
    parts.join("\n\n")
}

fn seconds(ms: u64) -> String {
    view::milli(ms)
}

fn lines(lines: &[Line]) -> Table {
    Table::new(["AT", "ACCOUNT", "AMOUNT", "WITH", "PURPOSE"])
        .when_empty("no movements")
        .rows(lines.iter().map(|line| {
            [
                view::instant(line.at_ms),
                line.account.clone(),
                line.amount_usd.to_string(),
                line.other.clone(),
                line.purpose.clone(),
            ]
        }))
}
