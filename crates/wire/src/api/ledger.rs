//! Accounts and statements.

use remuda_types::LeaseId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::lease::Metered;
use super::tenant::Balance;
use super::usd::Usd;

/// An account and what stands on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AccountBalance {
    /// As `project-budget:prj_…`.
    pub account: String,
    /// What stands on it.
    #[serde(flatten)]
    pub balance: Balance,
}

/// Accounts, a page of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Accounts {
    /// The accounts with money or a reservation, in order.
    pub data: Vec<AccountBalance>,
    /// The sum over all accounts of the network, in micro-USD: always 0. For the operator only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_micros: Option<i64>,
    /// Asks for the next page; null on the last.
    pub next_cursor: Option<String>,
}

/// What was charged or earned, what was not charged and why, and every movement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Statement {
    /// A project, a provider or an account.
    pub subject: String,
    /// The accounts it is about, as they stand now.
    pub balances: Vec<AccountBalance>,
    /// For a project: what it was charged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charged: Option<Charged>,
    /// For a provider: what it earned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earned: Option<Earned>,
    /// Live leases: what their slices came to and is not settled yet.
    pub accruing: Vec<Accruing>,
    /// Movements, oldest first.
    pub data: Vec<Line>,
    /// Asks for the next page of movements; null on the last.
    pub next_cursor: Option<String>,
}

/// What a project was charged, all settled, and what it was paid for broken leases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Charged {
    /// Leases: seconds charged, and those not charged by what they were.
    pub leases: Metered,
    /// Requests that ended.
    pub requests: u64,
    /// Prompt tokens.
    pub prompt_tokens: u64,
    /// Tokens delivered.
    pub completion_tokens: u64,
    /// The price of those tokens.
    pub tokens_usd: Usd,
    /// What providers forfeited to it for leases that they broke: its tenant's credit, which is spent
    /// before what was prepaid.
    pub compensated_usd: Usd,
}

/// What a provider earned, all settled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Earned {
    /// Milliseconds that were charged to tenants.
    pub ready_ms: u64,
    /// Its share of them.
    pub leases_usd: Usd,
    /// Tokens delivered.
    pub completion_tokens: u64,
    /// Its share of them.
    pub tokens_usd: Usd,
    /// Forfeited of what was held back.
    pub forfeited_held_usd: Usd,
    /// Forfeited of the bond.
    pub forfeited_bond_usd: Usd,
}

/// What a live lease's slice came to so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Accruing {
    /// Which.
    #[schema(value_type = String)]
    pub lease: LeaseId,
    /// Figures of the slice.
    #[serde(flatten)]
    pub metered: Metered,
}

/// One movement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Line {
    /// The journal's number of its record.
    pub seq: u64,
    /// When.
    pub at_ms: u64,
    /// On which account.
    pub account: String,
    /// Where it came from or went to.
    pub other: String,
    /// Negative when it left the account.
    pub amount_usd: Usd,
    /// What for.
    pub purpose: String,
    /// Its id.
    pub transfer: String,
}
