//! Gateway to control: one stream per request, and one on which control pushes whole route tables.

use std::net::SocketAddr;

use minicbor::{Decode, Encode};
use remuda_types::{
    ApiKeyId, Country, Digest, LeaseId, Money, NodeKey, ProjectId, ReplicaId, Time, TrancheId,
    WorkloadId,
};

use crate::grant::SignedGrant;

/// What a gateway asks, the first frame of a stream.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum GatewayRequest {
    /// Keep this stream open and push [`RouteTable`]s on it, the first at once.
    #[n(0)]
    Watch(#[n(0)] Watch),
    /// Money to spend without asking.
    #[n(1)]
    OpenTranche(#[n(0)] OpenTranche),
    /// What was used.
    #[n(2)]
    PostUsage(#[n(0)] PostUsage),
    /// Give back what is left.
    #[n(3)]
    CloseTranche(#[n(0)] CloseTranche),
    /// A node does not answer this gateway (or does again): a signal for the failure detector.
    #[n(4)]
    Sighting(#[n(0)] Sighting),
}

/// Opens a watch.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Watch {
    /// The gateway's secret for joining, when it is new to control.
    #[n(0)]
    pub admission: Option<String>,
    /// Where clients reach this gateway.
    #[n(1)]
    pub public_url: String,
    /// Version of the program.
    #[n(2)]
    pub version: String,
}

/// Asks for a tranche of a project's budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct OpenTranche {
    /// Chosen by the gateway; asking twice opens one.
    #[n(0)]
    pub tranche: TrancheId,
    /// Whose budget.
    #[n(1)]
    pub project: ProjectId,
    /// How much is wished for; control may give less.
    #[n(2)]
    pub amount: Money,
}

/// One second's usage of a tranche.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct PostUsage {
    /// From which tranche.
    #[n(0)]
    pub tranche: TrancheId,
    /// Counts posts of this tranche from 1; the same number again is the same post.
    #[n(1)]
    pub seq: u64,
    /// One total per lease and key.
    #[n(2)]
    pub totals: Vec<UsageTotal>,
    /// BLAKE3 of the spool rows that were summed.
    #[n(3)]
    pub rows: Digest,
}

/// What one key used of one lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct UsageTotal {
    /// Which replica delivered.
    #[n(0)]
    pub lease: LeaseId,
    /// Who asked.
    #[n(1)]
    pub key: ApiKeyId,
    /// Requests that ended in this post.
    #[n(2)]
    pub requests: u64,
    /// Prompt tokens.
    #[n(3)]
    pub prompt_tokens: u64,
    /// Tokens delivered.
    #[n(4)]
    pub completion_tokens: u64,
    /// The price of all that.
    #[n(5)]
    pub amount: Money,
}

/// Closes a tranche.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct CloseTranche {
    /// Which.
    #[n(0)]
    pub tranche: TrancheId,
}

/// A gateway's view of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Sighting {
    /// Which node.
    #[n(0)]
    pub node: NodeKey,
    /// Whether it answered.
    #[n(1)]
    pub answered: bool,
}

/// Control's answer, one frame (on a watch: many).
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum GatewayReply {
    /// The whole table; replaces the one before.
    #[n(0)]
    Routes(#[n(0)] Box<RouteTable>),
    /// The tranche is open.
    #[n(1)]
    Tranche(#[n(0)] Tranche),
    /// Posted, or had been already.
    #[n(2)]
    Posted,
    /// Done.
    #[n(3)]
    Done,
    /// Not done, and why.
    #[n(4)]
    Refused(#[n(0)] GatewayRefused),
    /// Control asks the gateway, on its watch, to probe nodes as a second vantage point; it answers with [`Sighting`]s.
    #[n(5)]
    Probe(#[n(0)] NodeKey),
}

/// Money that may be spent until its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Tranche {
    /// Which.
    #[n(0)]
    pub tranche: TrancheId,
    /// How much.
    #[n(1)]
    pub amount: Money,
    /// Nothing new may be reserved after it, by control's clock.
    #[n(2)]
    pub deadline: Time,
}

/// Why control did not do what a gateway asked.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct GatewayRefused {
    /// The refusal's stable code, as in the HTTP API.
    #[n(0)]
    pub code: String,
    /// For people, with the way out.
    #[n(1)]
    pub detail: String,
    /// Whether trying again later can help.
    #[n(2)]
    pub retry: bool,
}

/// All that a gateway needs to work while control is down.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct RouteTable {
    /// Control's epoch.
    #[n(0)]
    pub epoch: u64,
    /// The journal's sequence number that this table shows.
    #[n(1)]
    pub seq: u64,
    /// Control's clock when it was made.
    #[n(2)]
    pub clock: Time,
    /// Models and their replicas.
    #[n(3)]
    pub models: Vec<ModelRoute>,
    /// Keys that may ask.
    #[n(4)]
    pub keys: Vec<KeyEntry>,
}

/// A deployed model.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct ModelRoute {
    /// The workload.
    #[n(0)]
    pub workload: WorkloadId,
    /// Whose it is; only this project's keys see it.
    #[n(1)]
    pub project: ProjectId,
    /// The name clients ask for.
    #[n(2)]
    pub name: String,
    /// When it was deployed.
    #[n(3)]
    pub created: Time,
    /// BLAKE3 of the GGUF file.
    #[n(4)]
    pub model: Digest,
    /// Where the file can be fetched, for its template and vocabulary.
    #[n(5)]
    pub url: String,
    /// The file's size in bytes.
    #[n(6)]
    pub model_bytes: u64,
    /// Tokens of context for each request.
    #[n(7)]
    pub context_tokens: u32,
    /// Micro-USD for a million prompt tokens.
    #[n(8)]
    pub prompt_micros_per_million: u64,
    /// Micro-USD for a million completion tokens.
    #[n(9)]
    pub completion_micros_per_million: u64,
    /// Replicas that serve it.
    #[n(10)]
    pub replicas: Vec<ReplicaRoute>,
}

/// One replica a gateway may send to.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct ReplicaRoute {
    /// Its lease.
    #[n(0)]
    pub lease: LeaseId,
    /// The lease's epoch.
    #[n(1)]
    pub lease_epoch: u64,
    /// Which replica.
    #[n(2)]
    pub replica: ReplicaId,
    /// On which node.
    #[n(3)]
    pub node: NodeKey,
    /// Where the node can be dialled.
    #[cbor(n(4), with = "crate::node::addresses")]
    pub addresses: Vec<SocketAddr>,
    /// Where it stands.
    #[n(5)]
    pub country: Country,
    /// Whether to send new requests; `Suspect` ones are kept for when nothing else is left.
    #[n(6)]
    pub state: RouteState,
    /// Permission for this gateway.
    #[n(7)]
    pub grant: SignedGrant,
    /// Sequences it runs at once.
    #[n(8)]
    pub slots: u32,
}

/// What control thinks of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum RouteState {
    /// Serves.
    #[n(0)]
    Ready,
    /// Its node is silent.
    #[n(1)]
    Suspect,
    /// Takes nothing new.
    #[n(2)]
    Draining,
}

/// An API key as a gateway knows it: never the secret.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct KeyEntry {
    /// Its public name.
    #[n(0)]
    pub key: ApiKeyId,
    /// BLAKE3 of the secret text.
    #[n(1)]
    pub digest: Digest,
    /// Whose budget it spends.
    #[n(2)]
    pub project: ProjectId,
    /// Not valid from then on.
    #[n(3)]
    pub expires: Option<Time>,
    /// Whether it may ask for inference.
    #[n(4)]
    pub inference: bool,
    /// Requests a minute; 0 is no limit.
    #[n(5)]
    pub requests_per_minute: u32,
}
