//! Tenants, their projects and budgets.

use remuda_types::{ProjectId, TenantId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::usd::Usd;

/// Asks for a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateTenant {
    /// Its name: 1 to 63 characters; one tenant has it.
    pub name: String,
}

/// An organisation that buys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Tenant {
    /// Its id.
    #[schema(value_type = String)]
    pub id: TenantId,
    /// Its name.
    pub name: String,
    /// Since when.
    pub created_ms: u64,
    /// Money paid in and not yet given to a project.
    pub prepaid_usd: Usd,
    /// Money granted, for missed service levels above all.
    pub credit_usd: Usd,
}

/// Brings money in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Deposit {
    /// How much.
    pub amount_usd: Usd,
    /// By which way.
    #[serde(default)]
    pub rail: Rail,
}

/// A way by which money enters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Rail {
    /// Bank transfers and cards.
    #[default]
    Bank,
    /// Stablecoins.
    Chain,
}

/// Asks for a project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateProject {
    /// Its name: 1 to 63 characters, unique within the tenant.
    pub name: String,
}

/// A tenant's project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Project {
    /// Its id.
    #[schema(value_type = String)]
    pub id: ProjectId,
    /// Whose.
    #[schema(value_type = String)]
    pub tenant: TenantId,
    /// Its name.
    pub name: String,
    /// Since when.
    pub created_ms: u64,
    /// What it may spend; a hard cap.
    pub budget: Balance,
}

/// Moves prepaid money of the tenant into a project's budget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FundBudget {
    /// How much.
    pub amount_usd: Usd,
}

/// What stands on an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Balance {
    /// What has entered less what has left.
    pub posted_usd: Usd,
    /// What open reservations may still take.
    pub reserved_usd: Usd,
    /// What may be spent now.
    pub available_usd: Usd,
}
