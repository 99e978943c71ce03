//! Facts, in the past tense. What is committed is a list of these; state is their sum.
//!
//! Encoded as CBOR maps with integer keys that are never reused, so that a journal of today can be
//! read by every later version; a reader stops at a variant it does not know.

use std::collections::BTreeSet;

use minicbor::{Decode, Encode};
use remuda_ledger::Entry;
use remuda_types::{
    ApiKeyId, Capacity, ClaimId, Class, Country, Digest, GatewayKey, Label, LeaseId, Money,
    NodeKey, Place, Price, ProjectId, ProviderId, ReplicaId, Shape, SiteId, TenantId, Time,
    TrancheId, TransferId, WorkloadId,
};

use crate::policy::Policy;
use crate::state::{
    AdoptedPlan, EndReason, Fault, KeyOwner, Meter, OrderEnd, Phase, Presence, ReservationEnd,
    Scope, Standing, Terms,
};

/// One fact.
#[derive(Clone, Debug, PartialEq, Encode, Decode, serde::Serialize, strum::VariantNames)]
#[cbor(map)]
#[serde(tag = "type", rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[expect(
    missing_docs,
    reason = "fields are those of the state's structs, documented there"
)]
pub enum Event {
    /// The operator set the parameters.
    #[n(0)]
    PolicySet {
        #[n(0)]
        policy: Box<Policy>,
    },
    /// A gateway may spend tranches.
    #[n(1)]
    GatewayAdmitted {
        #[n(0)]
        gateway: GatewayKey,
    },
    /// A model is offered.
    #[n(2)]
    ModelAdded {
        #[n(0)]
        label: Label,
        #[n(1)]
        digest: Digest,
        #[n(2)]
        bytes: u64,
    },
    /// A provider joined.
    #[n(3)]
    ProviderRegistered {
        #[n(0)]
        provider: ProviderId,
        #[n(1)]
        label: Label,
        #[n(2)]
        at: Time,
    },
    /// A provider's standing changed.
    #[n(4)]
    ProviderStands {
        #[n(0)]
        provider: ProviderId,
        #[n(1)]
        standing: Standing,
    },
    /// A site was named.
    #[n(5)]
    SiteRegistered {
        #[n(0)]
        site: SiteId,
        #[n(1)]
        provider: ProviderId,
        #[n(2)]
        label: Label,
        #[n(3)]
        country: Country,
        #[n(4)]
        place: Place,
    },
    /// A node joined.
    #[n(6)]
    NodeEnrolled {
        #[n(0)]
        node: NodeKey,
        #[n(1)]
        provider: ProviderId,
        #[n(2)]
        site: SiteId,
        #[n(3)]
        class: Class,
        #[n(4)]
        capacity: Capacity,
        #[n(5)]
        price: Price,
        #[n(6)]
        at: Time,
    },
    /// A node is there, or is not.
    #[n(7)]
    NodePresent {
        #[n(0)]
        node: NodeKey,
        #[n(1)]
        presence: Presence,
    },
    /// Leases of a node that drains were looked for other nodes for; some may have found none.
    #[n(73)]
    DrainTried {
        #[n(0)]
        node: NodeKey,
        #[n(1)]
        at: Time,
    },
    /// A node that drains is silent, or is heard again.
    #[n(74)]
    NodeSilent {
        #[n(0)]
        node: NodeKey,
        /// When it was heard last, if it is silent.
        #[n(1)]
        since: Option<Time>,
    },
    /// Whether a lease that drains was served in a time nobody knows, since its node was silent: it is not
    /// charged.
    #[n(76)]
    LeaseSilent {
        #[n(0)]
        lease: LeaseId,
        /// The last sign of life.
        #[n(1)]
        since: Time,
        /// When the node was heard again.
        #[n(2)]
        at: Time,
    },
    /// A node drains because its daemon is to stop and for nothing else, or does not any more.
    #[n(75)]
    NodeLeaves {
        #[n(0)]
        node: NodeKey,
        #[n(1)]
        leaves: bool,
    },
    /// A node has more or less than it had.
    #[n(8)]
    NodeResized {
        #[n(0)]
        node: NodeKey,
        #[n(1)]
        capacity: Capacity,
    },
    /// A tenant was created.
    #[n(9)]
    TenantCreated {
        #[n(0)]
        tenant: TenantId,
        #[n(1)]
        label: Label,
        #[n(2)]
        at: Time,
    },
    /// A project was created.
    #[n(10)]
    ProjectCreated {
        #[n(0)]
        project: ProjectId,
        #[n(1)]
        tenant: TenantId,
        #[n(2)]
        label: Label,
        #[n(3)]
        at: Time,
    },
    /// A key was issued.
    #[n(11)]
    KeyIssued {
        #[n(0)]
        key: ApiKeyId,
        #[n(1)]
        owner: KeyOwner,
        #[n(2)]
        digest: Digest,
        #[n(3)]
        scopes: BTreeSet<Scope>,
        #[n(4)]
        expires: Option<Time>,
        #[n(5)]
        requests_per_minute: u32,
        #[n(6)]
        at: Time,
    },
    /// A key was revoked.
    #[n(12)]
    KeyRevoked {
        #[n(0)]
        key: ApiKeyId,
        #[n(1)]
        at: Time,
    },
    /// A workload was accepted.
    #[n(13)]
    WorkloadAccepted {
        #[n(0)]
        workload: WorkloadId,
        #[n(1)]
        project: ProjectId,
        #[n(2)]
        terms: Box<Terms>,
        #[n(3)]
        at: Time,
    },
    /// A workload was stopped by its tenant, or its last program ended well; its leases drain.
    #[n(14)]
    WorkloadStopping {
        #[n(0)]
        workload: WorkloadId,
    },
    /// A workload's last lease is gone.
    #[n(15)]
    WorkloadEnded {
        #[n(0)]
        workload: WorkloadId,
    },
    /// A workload has one more copy.
    #[n(16)]
    ReplicaAdded {
        #[n(0)]
        replica: ReplicaId,
        #[n(1)]
        workload: WorkloadId,
    },
    /// A workload has one copy less.
    #[n(17)]
    ReplicaRemoved {
        #[n(0)]
        replica: ReplicaId,
    },
    /// No node was found for a copy; it is tried again.
    #[n(18)]
    ReplicaUnplaced {
        #[n(0)]
        replica: ReplicaId,
        #[n(1)]
        retry: Time,
    },
    /// A node's capacity is held for a replica.
    #[n(19)]
    LeaseGranted {
        #[n(0)]
        lease: LeaseId,
        #[n(1)]
        replica: ReplicaId,
        #[n(2)]
        node: NodeKey,
        #[n(3)]
        shape: Shape,
        #[n(4)]
        price: Price,
        #[n(5)]
        epoch: u64,
        #[n(6)]
        at: Time,
        #[n(7)]
        slice: Slice,
        /// Whether the replica moves here from a lease it still has.
        #[n(8)]
        succeeds: bool,
        /// Which of the node's GPUs, one bit each.
        #[n(9)]
        gpu_bits: u64,
    },
    /// A replica got further, or fell back.
    #[n(20)]
    LeasePhased {
        #[n(0)]
        lease: LeaseId,
        #[n(1)]
        phase: Phase,
        #[n(2)]
        at: Time,
    },
    /// A lease's successor serves: the replica lives there now.
    #[n(21)]
    ReplicaMoved {
        #[n(0)]
        replica: ReplicaId,
    },
    /// A slice was charged, and the next one reserved unless the lease is over.
    #[n(22)]
    LeaseSettled {
        #[n(0)]
        lease: LeaseId,
        /// What the slice's milliseconds were.
        #[n(1)]
        meter: Meter,
        #[n(2)]
        charge: Charge,
        #[n(3)]
        next: Option<Slice>,
    },
    /// A lease is over.
    #[n(23)]
    LeaseEnded {
        #[n(0)]
        lease: LeaseId,
        #[n(1)]
        at: Time,
        #[n(2)]
        reason: EndReason,
        #[n(3)]
        fault: Fault,
    },
    /// An ended lease is forgotten.
    #[n(24)]
    LeaseForgotten {
        #[n(0)]
        lease: LeaseId,
    },
    /// A gateway has money to spend.
    #[n(25)]
    TrancheOpened {
        #[n(0)]
        tranche: TrancheId,
        #[n(1)]
        gateway: GatewayKey,
        #[n(2)]
        project: ProjectId,
        #[n(3)]
        amount: Money,
        #[n(4)]
        deadline: Time,
        #[n(5)]
        reservation: TransferId,
    },
    /// A gateway posted what was used.
    #[n(26)]
    UsagePosted {
        #[n(0)]
        tranche: TrancheId,
        #[n(1)]
        seq: u64,
        #[n(2)]
        usages: Vec<Usage>,
        /// BLAKE3 of the rows that were summed.
        #[n(3)]
        rows: Digest,
        #[n(4)]
        at: Time,
    },
    /// A tranche is over; what was left is in the budget again.
    #[n(27)]
    TrancheClosed {
        #[n(0)]
        tranche: TrancheId,
    },
    /// Money moved; linked: all of it or none.
    #[n(28)]
    MoneyMoved {
        #[n(0)]
        entries: Vec<Entry>,
    },
    /// Held earnings became the provider's.
    #[n(29)]
    HoldbackReleased {
        #[n(0)]
        provider: ProviderId,
        /// The start of the bucket.
        #[n(1)]
        bucket: Time,
        #[n(2)]
        amount: Money,
    },
    /// A provider paid for breaking a promise.
    #[n(30)]
    Forfeited {
        #[n(0)]
        provider: ProviderId,
        #[n(1)]
        level: u8,
        #[n(2)]
        from_held: Money,
        #[n(3)]
        from_bond: Money,
        #[n(4)]
        to_tenants: Vec<Compensation>,
        #[n(5)]
        to_pool: Money,
        #[n(6)]
        at: Time,
    },
    /// Placement follows another plan.
    #[n(40)]
    PlanAdopted {
        #[n(0)]
        plan: Box<AdoptedPlan>,
    },
    /// Much of a site was lost at once: its power or its uplink, it seems, or its owner.
    #[n(60)]
    SiteFailed {
        #[n(0)]
        site: SiteId,
        #[n(1)]
        at: Time,
    },
    /// A claim is wanted and has no node, or none any more; one is looked for then.
    #[n(50)]
    ClaimSought {
        #[n(0)]
        claim: ClaimId,
        #[n(1)]
        workload: WorkloadId,
        #[n(2)]
        retry: Time,
    },
    /// Capacity of a node is kept free for a workload.
    #[n(51)]
    ClaimGranted {
        #[n(0)]
        claim: ClaimId,
        #[n(1)]
        workload: WorkloadId,
        #[n(2)]
        node: NodeKey,
        #[n(3)]
        shape: Shape,
        /// Which of the node's GPUs, one bit each.
        #[n(4)]
        gpu_bits: u64,
        #[n(5)]
        at: Time,
    },
    /// A claim's capacity is needed now: what it was kept free for follows.
    #[n(52)]
    ClaimCalled {
        #[n(0)]
        claim: ClaimId,
        #[n(1)]
        at: Time,
    },
    /// A claim is not needed any more.
    #[n(53)]
    ClaimReleased {
        #[n(0)]
        claim: ClaimId,
    },
    /// A workload is to run from a time on and before another.
    #[n(56)]
    ReservationMade {
        #[n(0)]
        workload: WorkloadId,
        #[n(1)]
        project: ProjectId,
        #[n(2)]
        terms: Box<Terms>,
        #[n(3)]
        replicas: u32,
        #[n(4)]
        from: Time,
        #[n(5)]
        to: Time,
        #[n(6)]
        at: Time,
    },
    /// A reservation's time has come: its workload is deployed.
    #[n(57)]
    ReservationBegun {
        #[n(0)]
        workload: WorkloadId,
        #[n(1)]
        at: Time,
    },
    /// What is booked by a claim is a replica's lease's now; it follows.
    #[n(58)]
    ClaimBegun {
        #[n(0)]
        claim: ClaimId,
        #[n(1)]
        replica: ReplicaId,
    },
    /// A reservation is over.
    #[n(59)]
    ReservationEnded {
        #[n(0)]
        workload: WorkloadId,
        #[n(1)]
        end: ReservationEnd,
        #[n(2)]
        at: Time,
    },
    /// There is no room for a workload; it is deployed when there is.
    #[n(70)]
    OrderStands {
        #[n(0)]
        workload: WorkloadId,
        #[n(1)]
        project: ProjectId,
        #[n(2)]
        terms: Box<Terms>,
        #[n(3)]
        replicas: u32,
        #[n(4)]
        until: Time,
        #[n(5)]
        retry: Time,
        #[n(6)]
        at: Time,
    },
    /// There still is no room for it. Tried out of its turn, it has that when it had it before.
    #[n(71)]
    OrderWaits {
        #[n(0)]
        workload: WorkloadId,
        #[n(1)]
        retry: Time,
    },
    /// A standing order is over.
    #[n(72)]
    OrderEnded {
        #[n(0)]
        workload: WorkloadId,
        #[n(1)]
        end: OrderEnd,
        #[n(2)]
        at: Time,
    },
}

/// A slice of a lease: what is set aside for it, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct Slice {
    /// The pending transfer.
    #[n(0)]
    pub reservation: TransferId,
    /// How much is set aside.
    #[n(1)]
    pub reserved: Money,
    /// When the slice is settled.
    #[n(2)]
    pub end: Time,
    /// The lease's hard end from now on.
    #[n(3)]
    pub hard_end: Time,
}

/// A charge and who got it: `amount = earned + fee + pool`.
///
/// That of an ended lease is below zero when its last sign of life lies before what was charged
/// already: then more is given back than is due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct Charge {
    /// What the tenant pays.
    #[n(0)]
    pub amount: Money,
    /// The provider's share.
    #[n(1)]
    pub earned: Money,
    /// The platform's.
    #[n(2)]
    pub fee: Money,
    /// The insurance pool's.
    #[n(3)]
    pub pool: Money,
}

/// What one key used of one lease, as a gateway tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct UsageTotal {
    /// Which replica delivered.
    #[n(0)]
    pub lease: LeaseId,
    /// Who asked.
    #[n(1)]
    pub key: ApiKeyId,
    /// Requests that ended.
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

/// A total and who got what of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct Usage {
    /// What was used.
    #[n(0)]
    pub total: UsageTotal,
    /// Who earned.
    #[n(1)]
    pub provider: ProviderId,
    /// The split.
    #[n(2)]
    pub charge: Charge,
}

/// What a tenant is paid for a broken promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct Compensation {
    /// Who.
    #[n(0)]
    pub tenant: TenantId,
    /// For which lease.
    #[n(1)]
    pub lease: LeaseId,
    /// How much.
    #[n(2)]
    pub amount: Money,
}
