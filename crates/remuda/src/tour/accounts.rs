//! Who paid and who earned, as the ledger has it.

use remuda_types::{Money, ProjectId};
use remuda_wire::api::ledger::{Accounts, Charged, Earned, Statement};
use remuda_wire::api::provider::Provider;
use serde::Serialize;

use crate::client::Client;
use crate::table::Table;

/// The statements of everybody, and the sum over all accounts.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Books {
    tenant: Charged,
    providers: Vec<Takings>,
    accounts: usize,
    total_micros: i64,
}

/// What one provider has of it.
#[derive(Clone, Debug, Serialize)]
struct Takings {
    provider: Provider,
    earned: Earned,
}

impl Books {
    pub(super) async fn read(client: &Client, project: ProjectId) -> anyhow::Result<Self> {
        let Statement {
            charged: Some(tenant),
            ..
        } = client
            .statement(&[("project", project.to_string())])
            .await?
        else {
            anyhow::bail!("the project has no statement");
        };
        let mut providers = Vec::new();
        for provider in client.providers().await? {
            let earned = client
                .statement(&[("provider", provider.id.to_string())])
                .await?
                .earned;
            providers.push(Takings {
                provider,
                earned: earned.unwrap_or_default(),
            });
        }
        let Accounts {
            data,
            total_micros: Some(total_micros),
            ..
        } = client.accounts().await?
        else {
            anyhow::bail!("the operator is not told the sum of all accounts");
        };
        Ok(Self {
            tenant,
            providers,
            accounts: data.len(),
            total_micros,
        })
    }

    /// Refuses books that do not come out.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.total_micros == 0,
            "the ledger does not balance: all accounts sum to {} micro-USD",
            self.total_micros
        );
        let forfeited = self.providers.iter().any(|takings| {
            let Earned {
                forfeited_bond_usd,
                forfeited_held_usd,
                ..
            } = takings.earned;
            forfeited_bond_usd.0.saturating_add(forfeited_held_usd.0) > Money::ZERO
        });
        anyhow::ensure!(forfeited, "nobody forfeited anything");
        anyhow::ensure!(
            self.tenant.compensated_usd.0 > Money::ZERO,
            "the tenant got nothing of what was forfeited"
        );
        anyhow::ensure!(self.tenant.completion_tokens > 0, "no token was charged");
        anyhow::ensure!(self.tenant.leases.ready_ms > 0, "no second was charged");
        Ok(())
    }

    pub(super) fn text(&self) -> String {
        let leases = &self.tenant.leases;
        format!(
            "the tenant's statement, of all tours so far\n{}\n\nthe providers' statements\n{}\n\n\
             all {} accounts sum to {} micro-USD: the ledger balances",
            Table::new(["WHAT", "HOW MUCH", "USD"])
                .rows([
                    row(
                        "seconds charged: the replica was ready",
                        leases.ready_ms,
                        leases.amount_usd.0
                    ),
                    row(
                        "not charged: it was starting",
                        leases.starting_ms,
                        Money::ZERO
                    ),
                    row(
                        "not charged: its node was suspect",
                        leases.suspect_ms,
                        Money::ZERO
                    ),
                    row(
                        "not charged: its node was silent",
                        leases.silent_ms,
                        Money::ZERO
                    ),
                    [
                        format!("tokens charged, of {} requests", self.tenant.requests),
                        format!(
                            "{} + {}",
                            self.tenant.prompt_tokens, self.tenant.completion_tokens
                        ),
                        self.tenant.tokens_usd.to_string(),
                    ],
                    [
                        "paid to it by who left: the tenant's credit".to_owned(),
                        String::new(),
                        self.tenant.compensated_usd.to_string(),
                    ],
                ])
                .render(false),
            Table::new([
                "PROVIDER",
                "STANDING",
                "EARNED",
                "HELD",
                "FORFEITED",
                "BOND"
            ])
            .rows(self.providers.iter().map(Takings::row))
            .render(false),
            self.accounts,
            self.total_micros,
        )
    }
}

impl Takings {
    fn row(&self) -> [String; 6] {
        let Self { provider, earned } = self;
        let sum = earned.leases_usd.0.saturating_add(earned.tokens_usd.0);
        let forfeited = earned
            .forfeited_held_usd
            .0
            .saturating_add(earned.forfeited_bond_usd.0);
        [
            provider.name.clone(),
            provider.standing.clone(),
            sum.to_string(),
            provider.held_usd.to_string(),
            forfeited.to_string(),
            provider.bond_usd.to_string(),
        ]
    }
}

fn row(what: &str, ms: u64, amount: Money) -> [String; 3] {
    let seconds = format!("{}.{:03} s", ms / 1_000, ms % 1_000);
    [what.to_owned(), seconds, amount.to_string()]
}
