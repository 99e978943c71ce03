//! What the network is: everything that must survive, and nothing that can be derived.
//!
//! State is bounded: balances and open reservations, live leases, the ids of the last minutes;
//! history is the journal's. Maps are ordered, so that every iteration is the same everywhere.

use std::collections::{BTreeMap, BTreeSet};

use minicbor::{Decode, Encode};
use remuda_ledger::Ledger;
use remuda_placement::GpuSet;
use remuda_types::{
    ApiKeyId, Capacity, Class, CommandId, Country, Digest, GatewayKey, Label, LeaseId, Money,
    NodeKey, Place, Price, ProjectId, ProviderId, ReplicaId, Shape, SiteId, Span, TenantId, Tier,
    Time, TrancheId, TransferId, WorkloadId, WorkloadKind,
};

use crate::event::Charge;
use crate::policy::Policy;

/// Everything that survives.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct State {
    /// The newest time any committed command carried; time never goes back.
    #[n(0)]
    pub clock: Time,
    /// The network's parameters.
    #[n(1)]
    pub policy: Policy,
    /// All money.
    #[n(2)]
    pub ledger: Ledger,
    /// Owners of nodes.
    #[n(3)]
    pub providers: BTreeMap<ProviderId, Provider>,
    /// Where nodes stand.
    #[n(4)]
    pub sites: BTreeMap<SiteId, Site>,
    /// Machines.
    #[n(5)]
    pub nodes: BTreeMap<NodeKey, Node>,
    /// Organisations that buy.
    #[n(6)]
    pub tenants: BTreeMap<TenantId, Tenant>,
    /// Their projects.
    #[n(7)]
    pub projects: BTreeMap<ProjectId, Project>,
    /// API keys, without their secrets.
    #[n(8)]
    pub keys: BTreeMap<ApiKeyId, ApiKey>,
    /// Doors that may spend tranches.
    #[n(9)]
    pub gateways: BTreeSet<GatewayKey>,
    /// Models that may be deployed, by the label of their name.
    #[n(10)]
    pub models: BTreeMap<Label, Model>,
    /// What tenants want run and is not over.
    #[n(11)]
    pub workloads: BTreeMap<WorkloadId, Workload>,
    /// Their copies.
    #[n(12)]
    pub replicas: BTreeMap<ReplicaId, Replica>,
    /// Capacity held.
    #[n(13)]
    pub leases: BTreeMap<LeaseId, Lease>,
    /// Leases that ended a short while ago: usage of theirs may still arrive.
    #[n(14)]
    pub ended_leases: BTreeMap<LeaseId, EndedLease>,
    /// Money in gateways' hands.
    #[n(15)]
    pub tranches: BTreeMap<TrancheId, Tranche>,
    /// Commands of the last minutes.
    #[n(16)]
    pub recent: BTreeSet<CommandId>,
    /// Ids born before this are no longer in `recent`; never goes back, even when a policy asks
    /// for a longer memory.
    #[n(17)]
    pub forgotten: Time,
}

/// An owner of nodes.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct Provider {
    /// Its name.
    #[n(0)]
    pub label: Label,
    /// Since when.
    #[n(1)]
    pub joined: Time,
    /// Whether it is staying.
    #[n(2)]
    pub standing: Standing,
    /// Earnings not yet released, by the start of their bucket.
    #[n(3)]
    pub held: BTreeMap<Time, Money>,
}

/// Whether a provider is staying.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Sells.
    #[n(0)]
    Active,
    /// Gave notice; gone at the given time.
    #[n(1)]
    Leaving(#[n(0)] Time),
    /// Gone since then.
    #[n(2)]
    Left(#[n(0)] Time),
}

/// A place where nodes stand.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct Site {
    /// Its owner.
    #[n(0)]
    pub provider: ProviderId,
    /// Its name.
    #[n(1)]
    pub label: Label,
    /// Its country.
    #[n(2)]
    pub country: Country,
    /// Its coordinates.
    #[n(3)]
    pub place: Place,
}

/// A machine.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct Node {
    /// Its owner.
    #[n(0)]
    pub provider: ProviderId,
    /// Where it stands.
    #[n(1)]
    pub site: SiteId,
    /// Its kind.
    #[n(2)]
    pub class: Class,
    /// What it has in all.
    #[n(3)]
    pub capacity: Capacity,
    /// Price of the whole node.
    #[n(4)]
    pub price: Price,
    /// Since when.
    #[n(5)]
    pub enrolled: Time,
    /// Whether it is there.
    #[n(6)]
    pub presence: Presence,
    /// Its live leases.
    #[n(7)]
    pub leases: BTreeSet<LeaseId>,
}

/// Whether a node is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Presence {
    /// Enrolled, no session yet, or its session ended in order.
    #[n(0)]
    Away(#[n(0)] Time),
    /// Has a session; takes leases.
    #[n(1)]
    Up(#[n(0)] Time),
    /// Silent since then; keeps its leases, gets no new ones.
    #[n(2)]
    Suspect(#[n(0)] Time),
    /// Has a session; gives its leases up.
    #[n(3)]
    Draining(#[n(0)] Time),
    /// Judged gone; has no leases.
    #[n(4)]
    Lost(#[n(0)] Time),
    /// Its owner took it away for good.
    #[n(5)]
    Left(#[n(0)] Time),
}

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

/// A model that may be deployed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct Model {
    /// BLAKE3 of its weights' file.
    #[n(0)]
    pub digest: Digest,
    /// The file's size.
    #[n(1)]
    pub bytes: u64,
}

/// What a tenant asked for: the part of its spec that decisions need.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct Terms {
    /// What kind of thing.
    #[n(0)]
    pub kind: WorkloadKind,
    /// Its name.
    #[n(1)]
    pub label: Label,
    /// Keyed digest of the whole spec, which lies beside the journal.
    #[n(2)]
    pub spec: Label,
    /// The promise.
    #[n(3)]
    pub tier: Tier,
    /// What each replica asks of its node.
    #[n(4)]
    pub shape: Shape,
    /// Acceptable classes; empty is any.
    #[n(5)]
    pub classes: Vec<Class>,
    /// Acceptable countries; empty is any.
    #[n(6)]
    pub countries: Vec<Country>,
    /// The most a replica may cost an hour.
    #[n(7)]
    pub max_price: Option<Price>,
    /// Near a place.
    #[n(8)]
    pub near: Option<Near>,
    /// Token prices, when it is a model.
    #[n(9)]
    pub tokens: Option<TokenPrices>,
    /// The weights, when it is a model: those that its name stood for when it was deployed.
    #[n(10)]
    pub model: Option<Model>,
}

/// Within a distance of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct Near {
    /// The place.
    #[n(0)]
    pub place: Place,
    /// The distance.
    #[n(1)]
    pub max_distance_km: u32,
}

/// What tokens of a model cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct TokenPrices {
    /// Micro-USD for a million prompt tokens.
    #[n(0)]
    pub prompt_micros_per_million: u64,
    /// Micro-USD for a million completion tokens.
    #[n(1)]
    pub completion_micros_per_million: u64,
}

/// What a tenant wants run.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct Workload {
    /// Whose.
    #[n(0)]
    pub project: ProjectId,
    /// What was asked for.
    #[n(1)]
    pub terms: Terms,
    /// Since when.
    #[n(2)]
    pub created: Time,
    /// Its copies.
    #[n(3)]
    pub replicas: BTreeSet<ReplicaId>,
    /// Set when its tenant stopped it or its last program ended well: gone when its last lease is.
    #[n(4)]
    pub stopping: bool,
}

/// One copy of a workload; it moves from lease to lease.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct Replica {
    /// Of what.
    #[n(0)]
    pub workload: WorkloadId,
    /// The lease it has; none while no node was found.
    #[n(1)]
    pub lease: Option<LeaseId>,
    /// The lease it moves to: its node drains.
    #[n(2)]
    pub successor: Option<LeaseId>,
    /// Advances with every lease: whoever holds an older one is fenced off.
    #[n(3)]
    pub epoch: u64,
    /// Leases granted and nodes looked for in vain since it was last ready.
    #[n(4)]
    pub attempts: u32,
    /// When to look for a node again.
    #[n(5)]
    pub retry: Option<Time>,
    /// How its last lease ended.
    #[n(6)]
    pub last_end: Option<EndReason>,
}

/// Capacity of a node held for one replica.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct Lease {
    /// For which replica.
    #[n(0)]
    pub replica: ReplicaId,
    /// Of which workload.
    #[n(1)]
    pub workload: WorkloadId,
    /// Who pays.
    #[n(2)]
    pub project: ProjectId,
    /// Where.
    #[n(3)]
    pub node: NodeKey,
    /// Who earns.
    #[n(4)]
    pub provider: ProviderId,
    /// On which site.
    #[n(5)]
    pub site: SiteId,
    /// What is held.
    #[n(6)]
    pub shape: Shape,
    /// At what price.
    #[n(7)]
    pub price: Price,
    /// The replica's epoch.
    #[n(8)]
    pub epoch: u64,
    /// Since when.
    #[n(9)]
    pub granted: Time,
    /// The node stops the replica by itself when this passes.
    #[n(10)]
    pub hard_end: Time,
    /// How far the replica is.
    #[n(11)]
    pub phase: Phase,
    /// What accrued in this slice.
    #[n(12)]
    pub meter: Meter,
    /// The money set aside for this slice.
    #[n(13)]
    pub reservation: TransferId,
    /// How much it is.
    #[n(14)]
    pub reserved: Money,
    /// When the slice is settled.
    #[n(15)]
    pub slice_end: Time,
    /// Counts slices.
    #[n(16)]
    pub slice: u32,
    /// Which of the node's GPUs, one bit each.
    #[n(17)]
    pub gpu_bits: u64,
    /// Its node said that its probes fail. Silence of the node does not set it: a node that is
    /// heard again takes its replicas out of suspicion, but not those that fail.
    #[n(18)]
    pub failing: bool,
    /// The last slice that was charged up to its end: what of it lies after the last sign of life
    /// is given back when the lease ends.
    #[n(19)]
    pub charged: Option<Charged>,
    /// Since when it has not been ready; meaningless while it is.
    #[n(20)]
    pub unready: Time,
}

/// A slice that was charged up to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct Charged {
    /// Its end.
    #[n(0)]
    pub until: Time,
    /// What was charged of it, up to its end without a gap.
    #[n(1)]
    pub ready: Span,
    /// For how much.
    #[n(2)]
    pub charge: Charge,
}

impl Lease {
    /// When its node stops it by itself, whatever happens.
    pub fn stops_by(&self) -> Time {
        match self.phase {
            Phase::Draining(deadline) => self.hard_end.min(deadline),
            Phase::Placed | Phase::Preparing | Phase::Starting | Phase::Ready | Phase::Suspect => {
                self.hard_end
            }
        }
    }

    /// When it has been unready for too long: its replica then goes elsewhere.
    pub fn gives_up_at(&self, policy: &Policy) -> Option<Time> {
        match self.phase {
            Phase::Placed => Some(self.unready + policy.accept_within),
            Phase::Preparing | Phase::Starting | Phase::Suspect => {
                Some(self.unready + policy.start_within)
            }
            Phase::Ready | Phase::Draining(_) => None,
        }
    }

    /// Which of the node's GPUs.
    pub const fn gpus(&self) -> GpuSet {
        GpuSet::from_bits(self.gpu_bits)
    }
}

/// How far a lease's replica is. Ends are events; an ended lease is not here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Granted; the node does not know yet.
    #[n(0)]
    Placed,
    /// The node fetches what it needs.
    #[n(1)]
    Preparing,
    /// Started, no probe served yet.
    #[n(2)]
    Starting,
    /// A probe was served. The only phase that is charged.
    #[n(3)]
    Ready,
    /// Its node is silent or its probes fail: no longer routed to, still owned.
    #[n(4)]
    Suspect,
    /// Takes nothing new; gone by the deadline. Only what was ready drains, so it is charged while
    /// it finishes what it has.
    #[n(5)]
    Draining(#[n(0)] Time),
}

/// Milliseconds of one slice, by what they were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct Meter {
    /// Up to when the figures below go.
    #[n(0)]
    pub until: Time,
    /// Charged.
    #[n(1)]
    pub ready: Span,
    /// Not charged: before it was ready.
    #[n(2)]
    pub starting: Span,
    /// Not charged: suspect.
    #[n(3)]
    pub suspect: Span,
    /// Not charged: between the last sign of life and the verdict.
    #[n(4)]
    pub silent: Span,
}

/// What is still known of a lease that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct EndedLease {
    /// Who earned.
    #[n(0)]
    pub provider: ProviderId,
    /// Who paid.
    #[n(1)]
    pub project: ProjectId,
    /// When it ended.
    #[n(2)]
    pub ended: Time,
    /// Where it was.
    #[n(3)]
    pub node: NodeKey,
}

/// Why a lease ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, serde::Serialize)]
#[cbor(index_only)]
#[serde(rename_all = "kebab-case")]
pub enum EndReason {
    /// Its tenant stopped the workload or scaled it down.
    #[n(0)]
    Stopped,
    /// Its program ended with success.
    #[n(1)]
    Completed,
    /// Its program failed.
    #[n(2)]
    Crashed,
    /// It used more memory than its shape.
    #[n(3)]
    OutOfMemory,
    /// What it needs could not be fetched, or is not what its digest says.
    #[n(4)]
    PrepareFailed,
    /// It never became ready.
    #[n(5)]
    NeverReady,
    /// The node refuses its runtime.
    #[n(6)]
    RuntimeRefused,
    /// Its node was judged lost.
    #[n(7)]
    NodeLost,
    /// Its node's daemon restarted without it.
    #[n(8)]
    NodeRestarted,
    /// Its node drained and a successor took over.
    #[n(9)]
    Drained,
    /// Its provider left without notice.
    #[n(10)]
    ProviderLeft,
    /// Its project could not pay for the next slice.
    #[n(11)]
    BudgetExhausted,
    /// Its hard end passed.
    #[n(12)]
    TermOver,
}

/// Who answers for an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, serde::Serialize)]
#[cbor(index_only)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// The owner of the node.
    #[n(0)]
    Provider,
    /// Who wanted it run.
    #[n(1)]
    Tenant,
    /// Remuda or the way between.
    #[n(2)]
    Network,
    /// Not yet known.
    #[n(3)]
    Unknown,
    /// Nobody: it ended as wished.
    #[n(4)]
    Nobody,
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

impl EndReason {
    /// Who answers for it.
    pub const fn fault(self) -> Fault {
        match self {
            Self::Stopped | Self::Completed | Self::Drained | Self::TermOver => Fault::Nobody,
            Self::Crashed | Self::OutOfMemory | Self::BudgetExhausted => Fault::Tenant,
            Self::NodeLost | Self::NodeRestarted | Self::ProviderLeft | Self::RuntimeRefused => {
                Fault::Provider
            }
            Self::PrepareFailed | Self::NeverReady => Fault::Unknown,
        }
    }

    /// The word used in the API and the CLI.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Completed => "completed",
            Self::Crashed => "crashed",
            Self::OutOfMemory => "out-of-memory",
            Self::PrepareFailed => "prepare-failed",
            Self::NeverReady => "never-ready",
            Self::RuntimeRefused => "runtime-refused",
            Self::NodeLost => "node-lost",
            Self::NodeRestarted => "node-restarted",
            Self::Drained => "drained",
            Self::ProviderLeft => "provider-left",
            Self::BudgetExhausted => "budget-exhausted",
            Self::TermOver => "term-over",
        }
    }
}

impl Fault {
    /// The word used in the API and the CLI.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Tenant => "tenant",
            Self::Network => "network",
            Self::Unknown => "nobody yet known",
            Self::Nobody => "nobody",
        }
    }
}

impl Phase {
    /// Whether time in this phase is charged.
    pub const fn is_charged(self) -> bool {
        matches!(self, Self::Ready | Self::Draining(_))
    }

    /// The word used in the API and the CLI.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Placed => "placed",
            Self::Preparing => "preparing",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Suspect => "suspect",
            Self::Draining(_) => "draining",
        }
    }
}

impl Presence {
    /// Whether new leases may be placed on the node.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Up(_))
    }

    /// The word used in the API and the CLI.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Away(_) => "away",
            Self::Up(_) => "up",
            Self::Suspect(_) => "suspect",
            Self::Draining(_) => "draining",
            Self::Lost(_) => "lost",
            Self::Left(_) => "left",
        }
    }

    /// Since when.
    pub const fn since(self) -> Time {
        match self {
            Self::Away(at)
            | Self::Up(at)
            | Self::Suspect(at)
            | Self::Draining(at)
            | Self::Lost(at)
            | Self::Left(at) => at,
        }
    }
}

impl Meter {
    /// The figures brought up to `at`, the time since `until` spent in `phase`.
    #[must_use]
    pub fn accrue(self, phase: Phase, at: Time) -> Self {
        let span = at.since(self.until);
        let mut meter = Self {
            until: self.until.max(at),
            ..self
        };
        let bucket = match phase {
            Phase::Ready | Phase::Draining(_) => &mut meter.ready,
            Phase::Placed | Phase::Preparing | Phase::Starting => &mut meter.starting,
            Phase::Suspect => &mut meter.suspect,
        };
        *bucket = bucket.saturating_add(span);
        meter
    }
}

impl ApiKey {
    /// Whether the key is good at `now`.
    pub fn is_valid(&self, now: Time) -> bool {
        self.revoked.is_none() && self.expires.is_none_or(|expires| now < expires)
    }
}
