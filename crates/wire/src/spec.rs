//! What a node is told to run: the part of a workload's spec that travels to nodes.

use std::collections::BTreeMap;

use minicbor::{Decode, Encode};
use remuda_types::{Digest, Shape};

/// What a replica is made of.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ReplicaSpec {
    /// Resources it may use.
    #[n(0)]
    pub shape: Shape,
    /// How it runs.
    #[n(1)]
    pub runtime: RuntimeSpec,
    /// How its readiness is tested.
    #[n(2)]
    pub health: Option<HealthCheck>,
    /// How long it may take from a polite request to stop until it is killed.
    #[n(3)]
    pub stop_grace_ms: u64,
}

/// How a replica runs. Containers join this list with a later issue.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum RuntimeSpec {
    /// The built-in inference engine.
    #[n(0)]
    Engine(#[n(0)] EngineSpec),
    /// A plain process: development networks only.
    #[n(1)]
    Process(#[n(0)] ProcessSpec),
}

/// A model on the built-in engine.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct EngineSpec {
    /// BLAKE3 of the GGUF file.
    #[n(0)]
    pub model: Digest,
    /// The file's size in bytes.
    #[n(1)]
    pub model_bytes: u64,
    /// Where to fetch it; the content is checked against `model`.
    #[n(2)]
    pub url: String,
    /// Tokens of context for each sequence.
    #[n(3)]
    pub context_tokens: u32,
    /// Sequences run at once.
    #[n(4)]
    pub slots: u32,
    /// Threads of the engine.
    #[n(5)]
    pub threads: u32,
}

/// A plain process.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ProcessSpec {
    /// The program and its arguments; never empty.
    #[n(0)]
    pub command: Vec<String>,
    /// Its environment; nothing is inherited but `PATH`.
    #[n(1)]
    pub env: BTreeMap<String, String>,
}

/// How readiness is tested: a probe that was served, not a word of the node.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct HealthCheck {
    /// Loopback port; an HTTP GET of `path` must answer 2xx, or a connection be accepted if there is no path.
    #[n(0)]
    pub port: u16,
    /// HTTP path.
    #[n(1)]
    pub path: Option<String>,
    /// Between probes.
    #[n(2)]
    pub interval_ms: u64,
    /// Consecutive failures that make it unready.
    #[n(3)]
    pub failures: u32,
}
