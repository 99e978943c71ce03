//! Errors, as RFC 9457 says: `application/problem+json`.

use serde::{Deserialize, Serialize};

/// What stands before a problem's code in its `type`.
pub const TYPE_PREFIX: &str = "urn:remuda:problem:";

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Problem {
    /// `urn:remuda:problem:` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// The code in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong with this request, and the way out.
    pub detail: String,
    /// The request's id: quote it when you ask for help.
    pub instance: String,
    /// Stable, for programs.
    pub code: String,
    /// The fields that are wrong, when it is the body.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

/// A field that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FieldError {
    /// Where, as a JSON pointer: `/placement/classes/0`.
    pub pointer: String,
    /// What is wrong, and what is expected.
    pub detail: String,
}
