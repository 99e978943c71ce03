//! API keys.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use remuda_types::{ApiKeyId, IdError, ProjectId, ProviderId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Whose a key is: `operator`, a project (`prj_…`) or a provider (`pro_…`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// The operator's.
    Operator,
    /// A project's.
    Project(ProjectId),
    /// A provider's.
    Provider(ProviderId),
}

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Read whatever its owner may see.
    Read,
    /// Deploy, scale and stop workloads.
    Deploy,
    /// Ask for inference.
    Inference,
    /// Join nodes, take them away, leave.
    Supply,
    /// Move money, make and revoke keys.
    Admin,
}

/// Asks for a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IssueKey {
    /// Whose it is to be; the asking key's own owner if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub owner: Option<Owner>,
    /// What it may do; at least one.
    #[schema(value_type = Vec<Scope>)]
    pub scopes: BTreeSet<Scope>,
    /// How long it is valid, in seconds; without end if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_s: Option<u64>,
    /// Requests a minute at a gateway; 0 is no limit.
    #[serde(default)]
    pub requests_per_minute: u32,
}

/// A key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApiKey {
    /// Its public name.
    #[schema(value_type = String)]
    pub id: ApiKeyId,
    /// How its text begins, so that it can be told from others where it is used.
    pub prefix: String,
    /// Whose.
    #[schema(value_type = String)]
    pub owner: Owner,
    /// What it may do.
    #[schema(value_type = Vec<Scope>)]
    pub scopes: BTreeSet<Scope>,
    /// Since when.
    pub created_ms: u64,
    /// Not valid from then on.
    pub expires_ms: Option<u64>,
    /// Revoked since then.
    pub revoked_ms: Option<u64>,
    /// Requests a minute at a gateway; 0 is no limit.
    pub requests_per_minute: u32,
}

/// A key that was just issued.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IssuedKey {
    /// The key.
    #[serde(flatten)]
    pub key: ApiKey,
    /// Its text: shown this once, kept nowhere.
    pub secret: String,
}

impl fmt::Debug for IssuedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedKey")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator => f.write_str("operator"),
            Self::Project(project) => project.fmt(f),
            Self::Provider(provider) => provider.fmt(f),
        }
    }
}

impl FromStr for Owner {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        if text == "operator" {
            return Ok(Self::Operator);
        }
        if text.starts_with("pro_") {
            return text.parse().map(Self::Provider);
        }
        text.parse().map(Self::Project)
    }
}

impl Serialize for Owner {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Owner {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_told_apart_by_their_text() {
        let owners = [
            Owner::Operator,
            Owner::Project(ProjectId::from_u128(1)),
            Owner::Provider(ProviderId::from_u128(1)),
        ];
        for owner in owners {
            assert_eq!(owner.to_string().parse(), Ok(owner));
        }
        assert!("ten_00000000000000000000000001".parse::<Owner>().is_err());
    }
}
