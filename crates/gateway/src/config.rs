//! What a gateway is told when it starts.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use remuda_link::EndpointId;
use remuda_routing::{admission, pick, stream, tranche};
use remuda_types::Money;

use crate::kept;

/// Everything a gateway needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Holds the gateway's key, its spool and its last route table.
    pub state_dir: PathBuf,
    /// Where clients connect.
    pub http: SocketAddr,
    /// Where the iroh endpoint listens (UDP).
    pub bind: SocketAddr,
    /// Whom the gateway serves.
    pub control: ControlAddress,
    /// The network's secret for joining, when control does not know this gateway yet.
    pub admission: Option<String>,
    /// Where clients reach this gateway, for control to tell them.
    pub public_url: String,
    /// Holds `<digest>.head` files, and is looked into for `<digest>.gguf` files.
    pub model_cache: PathBuf,
    /// How the decisions are made.
    pub policies: Policies,
    /// How much and how long.
    pub limits: Limits,
}

/// Where control is.
#[derive(Clone, Debug)]
pub struct ControlAddress {
    /// Its public key.
    pub endpoint: EndpointId,
    /// Where it can be dialled.
    pub addresses: Vec<SocketAddr>,
}

/// The policies of `remuda-routing`.
#[derive(Clone, Copy, Debug)]
pub struct Policies {
    /// How many wait for a model, and how long.
    pub queue: admission::queue::Policy,
    /// When replicas are ejected.
    pub balancer: pick::Policy,
    /// How patient streams are.
    pub stream: stream::Policy,
    /// How money is asked for.
    pub purse: tranche::Policy,
    /// How long responses are kept, and how many.
    pub kept: kept::Policy,
}

impl Default for Policies {
    /// As `remuda-routing` has them; the dearest request is what control gives in one tranche.
    fn default() -> Self {
        Self {
            queue: admission::queue::Policy::default(),
            balancer: pick::Policy::default(),
            stream: stream::Policy::default(),
            purse: tranche::Policy {
                most: Money::from_micros(5_000_000),
                ..tranche::Policy::default()
            },
            kept: kept::Policy::default(),
        }
    }
}

/// Sizes and times.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections of clients at once; more wait until one ends.
    pub connections: usize,
    /// How long a client may take to send a request's headers, or its next request.
    pub head_within: Duration,
    /// The largest HTTP body.
    pub body_bytes: usize,
    /// How long a client may send nothing of a body that is not whole.
    pub body_silence: Duration,
    /// Completion tokens when the client does not say how many.
    pub default_max_tokens: u32,
    /// How long a request waits for a tranche that has been asked for.
    pub tranche_wait: Duration,
    /// How long a request waits for a model's tokeniser.
    pub model_wait: Duration,
    /// How long a request waits until its schemas and grammars are compiled.
    pub compile_within: Duration,
    /// How long a streamed answer may take to begin before its HTTP status is sent all the same.
    pub head_wait: Duration,
    /// Between comments on a stream that has nothing to say.
    pub keep_alive: Duration,
    /// Pieces of text that may wait for a slow client before its replica is no longer read.
    pub pieces_ahead: usize,
    /// How long a finished answer may take to be read before its request is settled all the same.
    pub linger: Duration,
    /// How long a node may take to acknowledge a probe, and a prompt engine to answer it.
    pub probe_within: Duration,
    /// How long a node may take to accept a connection.
    pub dial_within: Duration,
    /// How long control may take to answer.
    pub ask_within: Duration,
    /// Between checkpoints of open streams.
    pub checkpoint_every: Duration,
    /// Between posts of usage.
    pub post_every: Duration,
    /// How long requests in flight may go on when the gateway stops.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4_096,
            head_within: Duration::from_secs(30),
            body_bytes: 8 << 20,
            body_silence: Duration::from_secs(30),
            default_max_tokens: 4_096,
            tranche_wait: Duration::from_secs(2),
            model_wait: Duration::from_secs(20),
            compile_within: Duration::from_secs(10),
            head_wait: Duration::from_secs(15),
            keep_alive: Duration::from_secs(5),
            pieces_ahead: 64,
            linger: Duration::from_secs(30),
            probe_within: Duration::from_millis(250),
            dial_within: Duration::from_millis(1_500),
            ask_within: Duration::from_secs(5),
            checkpoint_every: Duration::from_secs(1),
            post_every: Duration::from_secs(1),
            drain: Duration::from_secs(30),
        }
    }
}
