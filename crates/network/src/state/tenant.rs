//! Who buys: tenants, their projects, and money of theirs in gateways' hands.

use minicbor::{Decode, Encode};
use remuda_types::{GatewayKey, Label, Money, ProjectId, TenantId, Time, TransferId};

/// An organisation that buys.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct Tenant {
    /// Its name.
    #[n(0)]
    pub label: Label,
    /// Since when.
    #[n(1)]
    pub created: Time,
}

/// A tenant's project.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct Project {
    /// Whose.
    #[n(0)]
    pub tenant: TenantId,
    /// Its name.
    #[n(1)]
    pub label: Label,
    /// Since when.
    #[n(2)]
    pub created: Time,
}

/// Money in a gateway's hands.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct Tranche {
    /// Whose hands.
    #[n(0)]
    pub gateway: GatewayKey,
    /// Whose budget.
    #[n(1)]
    pub project: ProjectId,
    /// What is left of it.
    #[n(2)]
    pub left: Money,
    /// Nothing new may be reserved in it after this.
    #[n(3)]
    pub deadline: Time,
    /// Its last post; the same number again changes nothing.
    #[n(4)]
    pub seq: u64,
    /// The pending transfer behind it.
    #[n(5)]
    pub reservation: TransferId,
}
