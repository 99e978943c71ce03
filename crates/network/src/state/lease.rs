//! Capacity held: leases, how far they are, and what of their time is charged.

use minicbor::{Decode, Encode};
use remuda_placement::GpuSet;
use remuda_types::{
    Money, NodeKey, Price, ProjectId, ProviderId, ReplicaId, Shape, SiteId, Span, Time, TransferId,
    WorkloadId,
};

use crate::event::Charge;
use crate::policy::Policy;

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

    /// The figures brought up to `now`, nothing having been served since `served`. A phase may have
    /// been counted beyond that before it was known.
    #[must_use]
    pub fn silent_since(self, served: Time, now: Time) -> Self {
        let unserved = self.until.since(served).min(self.ready);
        let silent = now.since(self.until).saturating_add(unserved);
        Self {
            until: self.until.max(now),
            ready: self.ready.saturating_sub(unserved),
            silent: self.silent.saturating_add(silent),
            ..self
        }
    }
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
