//! The catalogue of models.

use remuda_types::Digest;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Offers a model: a GGUF file on control's machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddModel {
    /// Its name: 1 to 63 of `a-z`, `0-9`, `-`, `.` and `_`. A known name gets the new file.
    pub name: String,
    /// The file, as control's machine names it.
    pub path: String,
}

/// A model that may be deployed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Model {
    /// Its name.
    pub name: String,
    /// BLAKE3 of its file.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// The file's size.
    pub bytes: u64,
    /// Where nodes fetch it.
    pub url: String,
}
