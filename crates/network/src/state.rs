//! What the network is: everything that must survive, and nothing that can be derived.
//!
//! State is bounded: balances and open reservations, live leases, the ids of the last minutes;
//! history is the journal's. Maps are ordered, so that every iteration is the same everywhere; the
//! large ones are tables, whose look-ups do not pay for the order.

use std::collections::{BTreeMap, BTreeSet};

use minicbor::{Decode, Encode};
use remuda_ledger::Ledger;
use remuda_placement::Kinship;
use remuda_types::{
    ApiKeyId, ClaimId, CommandId, GatewayKey, Label, LeaseId, NodeKey, ProjectId, ProviderId,
    ReplicaId, SiteId, Table, TenantId, Time, TrancheId, WorkloadId,
};

use crate::policy::Policy;

mod claim;
mod end;
mod key;
mod lease;
mod order;
mod plan;
mod reservation;
mod supply;
mod tenant;
mod workload;

pub use claim::{Claim, Claimed};
pub use end::{EndReason, Fault};
pub use key::{ApiKey, KeyOwner, Scope};
pub use lease::{Charged, EndedLease, Lease, Meter, Phase};
pub use order::{OrderEnd, StandingOrder};
pub use plan::AdoptedPlan;
pub use remuda_placement::Near;
pub use reservation::{Reservation, ReservationEnd};
pub use supply::{Node, Presence, Provider, Site, Standing};
pub use tenant::{Project, Tenant, Tranche};
pub use workload::{Model, Replica, Terms, TokenPrices, Workload};

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
    pub nodes: Table<NodeKey, Node>,
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
    pub workloads: Table<WorkloadId, Workload>,
    /// Their copies.
    #[n(12)]
    pub replicas: Table<ReplicaId, Replica>,
    /// Capacity held.
    #[n(13)]
    pub leases: Table<LeaseId, Lease>,
    /// Leases that ended a short while ago: usage of theirs may still arrive.
    #[n(14)]
    pub ended_leases: Table<LeaseId, EndedLease>,
    /// Money in gateways' hands.
    #[n(15)]
    pub tranches: Table<TrancheId, Tranche>,
    /// Commands of the last minutes, and some that are on their way out.
    #[n(16)]
    pub recent: BTreeSet<CommandId>,
    /// Ids born before this leave `recent`, and are refused unless they are still there; never goes
    /// back, even when a policy asks for a longer memory.
    #[n(17)]
    pub forgotten: Time,
    /// The plan that placement follows; none was made yet is none.
    #[n(20)]
    pub plan: Option<Box<AdoptedPlan>>,
    /// Which sites fail together, as far as it was learned.
    #[n(30)]
    #[cbor(default)]
    pub kinship: Kinship,
    /// Capacity kept free for when it is called for.
    #[n(25)]
    #[cbor(default)]
    pub claims: BTreeMap<ClaimId, Claim>,
    /// What is wanted later, by the workload that it will be; those included that have begun.
    #[n(26)]
    #[cbor(default)]
    pub reservations: BTreeMap<WorkloadId, Reservation>,
    /// What is wanted as soon as it can be had, by the workload that it will be.
    #[n(35)]
    #[cbor(default)]
    pub orders: BTreeMap<WorkloadId, StandingOrder>,
}
