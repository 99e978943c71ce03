//! Node to control, over one bidirectional stream; and what control asks of a node, one stream each.
//!
//! The node speaks first (`Hello`), is welcomed or refused, then reports every second. Control
//! answers with whole assignments by level: the last one with the highest (epoch, generation) is
//! the truth, whatever came before.

use std::net::SocketAddr;

use minicbor::{Decode, Encode};
use remuda_types::{Capacity, Class, LeaseId, Price, ReplicaId, SiteId, Time, WorkloadId};

use crate::spec::ReplicaSpec;

/// Node to control.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum NodeMessage {
    /// The first message of a session.
    #[n(0)]
    Hello(#[n(0)] Box<Hello>),
    /// Once a second, and at once when something changed.
    #[n(1)]
    Report(#[n(0)] Report),
    /// The daemon was asked to stop by its owner.
    #[n(2)]
    Leaving,
}

/// Who the node is and what it has.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct Hello {
    /// Version of the daemon.
    #[n(0)]
    pub version: String,
    /// Changes with every start of the daemon.
    #[n(1)]
    pub boot: u64,
    /// Where the daemon can be dialled.
    #[cbor(n(2), with = "addresses")]
    pub addresses: Vec<SocketAddr>,
    /// The node's clock.
    #[n(3)]
    pub clock: Time,
    /// What the machine has.
    #[n(4)]
    pub inventory: Inventory,
    /// Present when the node joins: the right to do so. Ignored when it already has.
    #[n(5)]
    pub enrolment: Option<Enrolment>,
    /// The newest assignment the node holds.
    #[n(6)]
    pub holds: AssignmentStamp,
    /// What it runs, so that control can adopt it.
    #[n(7)]
    pub replicas: Vec<Observed>,
    /// When the daemon stood still, as far as it remembers: oldest first.
    #[cbor(n(8), default)]
    pub pauses: Vec<Pause>,
    /// The daemon is to stop: it asks for nothing more.
    #[cbor(n(9), default)]
    pub leaving: bool,
}

/// A time in which a daemon did nothing at all: it was frozen, or its machine slept.
///
/// Told in ages, so that it needs no clock that both sides agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Pause {
    /// For how long.
    #[n(0)]
    pub lasted_ms: u64,
    /// How long before it was told it ended.
    #[n(1)]
    pub ended_ms_ago: u64,
}

/// What a machine has.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Inventory {
    /// The kind of accelerator found.
    #[n(0)]
    pub class: Class,
    /// Resources offered.
    #[n(1)]
    pub capacity: Capacity,
    /// For people: driver, model names.
    #[n(2)]
    pub description: String,
}

/// The right to join, and on what terms.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Enrolment {
    /// The provider's API key (a secret).
    #[n(0)]
    pub provider_key: String,
    /// Where the node stands.
    #[n(1)]
    pub site: SiteId,
    /// Price of the whole node per hour.
    #[n(2)]
    pub price: Price,
}

impl std::fmt::Debug for Enrolment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Enrolment")
            .field("site", &self.site)
            .finish_non_exhaustive()
    }
}

/// Which assignment: control's epoch first, then its generation for this node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(map)]
pub struct AssignmentStamp {
    /// Control's epoch; a newer control has a higher one.
    #[n(0)]
    pub epoch: u64,
    /// Counts this node's assignments within the epoch.
    #[n(1)]
    pub generation: u64,
}

/// One second's report.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct Report {
    /// Counts reports in this session.
    #[n(0)]
    pub seq: u64,
    /// The node's clock.
    #[n(1)]
    pub clock: Time,
    /// The newest assignment the node holds.
    #[n(2)]
    pub holds: AssignmentStamp,
    /// Every replica the node runs or has just ended.
    #[n(3)]
    pub replicas: Vec<Observed>,
}

/// What the node sees of one replica.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Observed {
    /// Its lease.
    #[n(0)]
    pub lease: LeaseId,
    /// The lease's epoch as the node knows it.
    #[n(1)]
    pub lease_epoch: u64,
    /// How far it is.
    #[n(2)]
    pub state: ObservedState,
    /// Since when, by the node's clock.
    #[n(3)]
    pub since: Time,
}

/// How far a replica is on its node.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum ObservedState {
    /// Fetching what it needs; bytes done and in all.
    #[n(0)]
    Preparing(#[n(0)] Progress),
    /// Started, not yet served a probe.
    #[n(1)]
    Starting,
    /// A probe was served.
    #[n(2)]
    Ready,
    /// Probes fail, the process lives.
    #[n(3)]
    Unhealthy,
    /// Takes nothing new, finishes what it has.
    #[n(4)]
    Draining,
    /// Over.
    #[n(5)]
    Ended(#[n(0)] Exit),
}

/// Bytes done of bytes in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Progress {
    /// Done.
    #[n(0)]
    pub done_bytes: u64,
    /// In all; 0 when unknown.
    #[n(1)]
    pub total_bytes: u64,
}

/// How a replica ended, with the evidence.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Exit {
    /// Why.
    #[n(0)]
    pub reason: ExitReason,
    /// Exit code of its process.
    #[n(1)]
    pub code: Option<i32>,
    /// Signal that ended its process.
    #[n(2)]
    pub signal: Option<i32>,
    /// For people; carries no content of requests.
    #[n(3)]
    pub detail: String,
}

/// Why a replica ended, as its node saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum ExitReason {
    /// It was told to.
    #[n(0)]
    Stopped,
    /// Its program ended by itself with success.
    #[n(1)]
    Completed,
    /// Its program failed.
    #[n(2)]
    Crashed,
    /// It used more memory than its shape.
    #[n(3)]
    OutOfMemory,
    /// What it needs could not be fetched or is not what its digest says.
    #[n(4)]
    PrepareFailed,
    /// It never became ready.
    #[n(5)]
    NeverReady,
    /// The lease's hard end passed.
    #[n(6)]
    LeaseEnded,
    /// The node's policy forbids its runtime.
    #[n(7)]
    RuntimeRefused,
    /// The daemon restarted and the replica did not outlive it.
    #[n(8)]
    DaemonRestarted,
}

/// Control to node.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum ControlMessage {
    /// The session is accepted.
    #[n(0)]
    Welcome(#[n(0)] Welcome),
    /// The session is refused; the node says why and tries again only if told so.
    #[n(1)]
    Refused(#[n(0)] SessionRefused),
    /// The node's whole assignment.
    #[n(2)]
    Assignment(#[n(0)] Assignment),
}

/// Terms of a session.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Welcome {
    /// Control's clock.
    #[n(0)]
    pub clock: Time,
    /// Between reports.
    #[n(1)]
    pub report_interval_ms: u64,
    /// Whether plain processes may run on this network.
    #[n(2)]
    pub processes_allowed: bool,
    /// The ed25519 key that signs route grants.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub grant_key: [u8; 32],
}

/// Why a session is refused.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SessionRefused {
    /// Why, and the way out.
    #[n(0)]
    pub detail: String,
    /// Whether trying again later can help.
    #[n(1)]
    pub retry: bool,
}

/// All that a node should run.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Assignment {
    /// Which assignment this is.
    #[n(0)]
    pub stamp: AssignmentStamp,
    /// Every replica; one that is not named is to be stopped.
    #[n(1)]
    pub replicas: Vec<Assigned>,
}

/// One replica of an assignment.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Assigned {
    /// Its lease.
    #[n(0)]
    pub lease: LeaseId,
    /// Advances when the replica is moved: whoever holds an older one is fenced off.
    #[n(1)]
    pub lease_epoch: u64,
    /// Which replica of which workload.
    #[n(2)]
    pub replica: ReplicaId,
    /// The workload.
    #[n(3)]
    pub workload: WorkloadId,
    /// The node stops it by itself when this passes.
    #[n(4)]
    pub hard_end: Time,
    /// Run or drain.
    #[n(5)]
    pub wanted: Wanted,
    /// What it is made of.
    #[n(6)]
    pub spec: ReplicaSpec,
}

/// What is wanted of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Wanted {
    /// Run it.
    #[n(0)]
    Run,
    /// Take nothing new; stop when idle or at the deadline.
    #[n(1)]
    Drain(#[n(0)] Time),
}

/// Control asks, on a stream of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum NodeRequest {
    /// The retained lines of a lease's last run.
    #[n(0)]
    Logs(#[n(0)] LogsRequest),
    /// Are you there?
    #[n(1)]
    Ping(#[n(0)] crate::probe::Ping),
}

/// Which lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct LogsRequest {
    /// Whose.
    #[n(0)]
    pub lease: LeaseId,
    /// The last so many lines.
    #[n(1)]
    pub tail: u32,
}

/// A node's answer.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum NodeReply {
    /// Lines, oldest first.
    #[n(0)]
    Logs(#[n(0)] Vec<String>),
    /// The same nonce.
    #[n(1)]
    Pong(#[n(0)] crate::probe::Ping),
    /// There is no such lease here, nor a retained run of it.
    #[n(2)]
    Unknown,
}

pub(crate) mod addresses {
    //! Socket addresses as text.

    use std::net::SocketAddr;

    use minicbor::encode::Write;
    use minicbor::{Decoder, Encoder};

    pub(crate) fn encode<C, W: Write>(
        addresses: &[SocketAddr],
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.array(addresses.len() as u64)?;
        addresses
            .iter()
            .try_for_each(|address| e.str(&address.to_string())?.ok())
    }

    pub(crate) fn decode<C>(
        d: &mut Decoder<'_>,
        _: &mut C,
    ) -> Result<Vec<SocketAddr>, minicbor::decode::Error> {
        let parse = |text: Result<&str, _>| {
            text.and_then(|t| t.parse().map_err(minicbor::decode::Error::custom))
        };
        d.array_iter::<&str>()?.take(64).map(parse).collect()
    }
}
