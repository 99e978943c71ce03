//! Providers, their bonds and sites.

use remuda_types::{Country, LeaseId, NodeKey, ProviderId, SiteId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::usd::Usd;

/// Asks for a provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterProvider {
    /// Its name: 1 to 63 characters; one provider has it.
    pub name: String,
}

/// An owner of nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Provider {
    /// Its id.
    #[schema(value_type = String)]
    pub id: ProviderId,
    /// Its name.
    pub name: String,
    /// Since when.
    pub joined_ms: u64,
    /// `active`, `leaving` or `left`.
    pub standing: String,
    /// When it is gone, or since when.
    pub leaves_ms: Option<u64>,
    /// Deposited, forfeited by leaving early or cheating.
    pub bond_usd: Usd,
    /// Earned, held back for a while.
    pub held_usd: Usd,
    /// Earned and free to be paid out.
    pub available_usd: Usd,
    /// Its nodes that have not left.
    pub nodes: u64,
}

/// How a provider leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LeaveProvider {
    /// With notice, or now.
    pub manner: LeaveManner,
}

/// With notice, or now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LeaveManner {
    /// With the policy's notice: its nodes drain, nothing is forfeited.
    Notice,
    /// At once: the early-exit fee is forfeited.
    Now,
}

/// Asks for a site.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterSite {
    /// Its name: 1 to 63 characters, unique within the provider.
    pub name: String,
    /// ISO 3166-1 alpha-2, in capitals.
    #[schema(value_type = String)]
    pub country: Country,
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
}

/// A place where nodes stand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Site {
    /// Its id.
    #[schema(value_type = String)]
    pub id: SiteId,
    /// Its owner.
    #[schema(value_type = String)]
    pub provider: ProviderId,
    /// Its name.
    pub name: String,
    /// Its country.
    #[schema(value_type = String)]
    pub country: Country,
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
}

/// How far a site is that drains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SiteDrain {
    /// The site.
    #[schema(value_type = String)]
    pub site: SiteId,
    /// Its nodes that drain.
    pub draining: u64,
    /// Its nodes that take leases, for instance because they came back since.
    pub open: u64,
    /// Live leases on its nodes that drain.
    pub leases: u64,
    /// Of these, those whose replicas have a place elsewhere and serve here until they serve there.
    pub moving: u64,
    /// Of these, those whose replicas have no place elsewhere yet. One is looked for again and again.
    pub staying: u64,
    /// Some of those that stay, and why.
    pub why_staying: Vec<Staying>,
}

/// A lease that stays on a node that drains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Staying {
    /// The lease.
    #[schema(value_type = String)]
    pub lease: LeaseId,
    /// The node.
    #[schema(value_type = String)]
    pub node: NodeKey,
    /// Why its replica has no place elsewhere, as things are now. What its tenant allows is told to
    /// the operator only.
    pub why: String,
}
