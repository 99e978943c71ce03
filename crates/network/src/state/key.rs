//! API keys, without their secrets.

use std::collections::BTreeSet;

use minicbor::{Decode, Encode};
use remuda_types::{Digest, ProjectId, ProviderId, Time};

/// Whose an API key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyOwner {
    /// The operator's.
    #[n(0)]
    Operator,
    /// A tenant's project's.
    #[n(1)]
    Project(#[n(0)] ProjectId),
    /// A provider's.
    #[n(2)]
    Provider(#[n(0)] ProviderId),
}

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, serde::Serialize)]
#[cbor(index_only)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Read whatever its owner may see.
    #[n(0)]
    Read,
    /// Deploy, scale and stop workloads.
    #[n(1)]
    Deploy,
    /// Ask for inference.
    #[n(2)]
    Inference,
    /// Join nodes, take them away, leave.
    #[n(3)]
    Supply,
    /// Move money, make and revoke keys.
    #[n(4)]
    Admin,
}

/// An API key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct ApiKey {
    /// Whose.
    #[n(0)]
    pub owner: KeyOwner,
    /// BLAKE3 of the secret, which has 256 bits of entropy, so that a plain hash is enough.
    #[n(1)]
    pub digest: Digest,
    /// What it may do.
    #[n(2)]
    pub scopes: BTreeSet<Scope>,
    /// Since when.
    #[n(3)]
    pub created: Time,
    /// Not valid from then on.
    #[n(4)]
    pub expires: Option<Time>,
    /// Revoked since then.
    #[n(5)]
    pub revoked: Option<Time>,
    /// Requests a minute at a gateway; 0 is no limit.
    #[n(6)]
    pub requests_per_minute: u32,
}

impl ApiKey {
    /// Whether the key is good at `now`.
    pub fn is_valid(&self, now: Time) -> bool {
        self.revoked.is_none() && self.expires.is_none_or(|expires| now < expires)
    }
}
