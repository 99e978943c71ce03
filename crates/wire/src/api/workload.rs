//! The workload spec: what `remuda deploy` reads as YAML and `POST /v1/workloads` takes as JSON.

mod spread;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use remuda_types::{ClassChoice, Country, Shape, Tier, Together};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::schema;

pub use spread::{Fault, copies_fault};

/// What a tenant wants run. Exactly one of `model` and `process` is given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkloadSpec {
    /// Its name in the project: 1 to 63 of `a-z`, `0-9`, `-` and `.`; clients ask for a model by it.
    pub name: String,
    /// The promise it is sold under.
    #[serde(default = "standard")]
    #[schema(schema_with = schema::tier)]
    pub tier: Tier,
    /// How many copies; with the tier `multi-site` 2 at least.
    #[serde(default = "one")]
    #[schema(minimum = 1, default = 1)]
    pub replicas: u32,
    /// What each copy needs of its node.
    #[serde(default = "small")]
    #[schema(schema_with = schema::shape)]
    pub resources: Shape,
    /// Where it may run.
    #[serde(default)]
    pub placement: PlacementSpec,
    /// A language model on the built-in engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelSpec>,
    /// A plain process; refused unless the network's policy allows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessSpec>,
    /// The tenant's own labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// Where a workload may run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PlacementSpec {
    /// Acceptable hardware classes; `h100-sxm-80+` is that and any better; empty is any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub classes: Vec<ClassChoice>,
    /// Acceptable countries; empty is any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub countries: Vec<Country>,
    /// The most one copy may cost, in dollars an hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schema::decimal, required = false)]
    pub max_price_usd_per_hour: Option<String>,
    /// Near a place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub near: Option<NearSpec>,
    /// Whether its copies must stand together.
    #[serde(skip_serializing_if = "is_anywhere")]
    #[schema(schema_with = schema::together)]
    pub together: Together,
    /// The most of its copies that one owner may have, in percent of all of them: rounded down,
    /// but one at least. With fewer copies it may have fewer; what it has already is not moved.
    /// Not with `together: fabric`; with the tier `multi-site` at most 50, and 17 (a sixth) if this
    /// is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 100)]
    pub max_owner_share_pct: Option<u32>,
    /// The same of one site.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 100)]
    pub max_site_share_pct: Option<u32>,
}

/// Within a distance of a place.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NearSpec {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// The distance.
    pub max_distance_km: u32,
}

/// A language model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    /// A model of the network's catalogue.
    pub name: String,
    /// Tokens of context for each request.
    #[serde(default = "context_tokens")]
    #[schema(minimum = 2, maximum = 1_048_576, default = 2048)]
    pub context_tokens: u32,
    /// Requests that one copy serves at once.
    #[serde(default = "slots")]
    #[schema(minimum = 1, maximum = 64, default = 4)]
    pub slots: u32,
    /// Threads of the engine on nodes without an accelerator.
    #[serde(default = "one")]
    #[schema(minimum = 1, maximum = 512, default = 1)]
    pub threads: u32,
    /// Dollars for a million prompt tokens.
    #[serde(default = "free")]
    #[schema(schema_with = schema::decimal)]
    pub prompt_usd_per_million: String,
    /// Dollars for a million completion tokens.
    #[serde(default = "free")]
    #[schema(schema_with = schema::decimal)]
    pub completion_usd_per_million: String,
}

impl ModelSpec {
    /// The context that an engine can have: a token of the prompt and one of the answer at least.
    pub const CONTEXT_TOKENS: RangeInclusive<u32> = 2..=1 << 20;
    /// The slots that an engine can have.
    pub const SLOTS: RangeInclusive<u32> = 1..=64;
    /// The threads that an engine can have.
    pub const THREADS: RangeInclusive<u32> = 1..=512;
}

/// A plain process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProcessSpec {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Its environment; nothing else is inherited but `PATH`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Loopback port that is probed for readiness; without it the process is ready when it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// HTTP path that must answer 2xx on `port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_path: Option<String>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands over a reference"
)]
fn is_anywhere(together: &Together) -> bool {
    *together == Together::Anywhere
}

const fn standard() -> Tier {
    Tier::Standard
}

const fn one() -> u32 {
    1
}

const fn context_tokens() -> u32 {
    2_048
}

const fn slots() -> u32 {
    4
}

fn free() -> String {
    "0".to_owned()
}

fn small() -> Shape {
    Shape {
        cpu_milli: 500,
        memory_mib: 512,
        ..Shape::default()
    }
}
