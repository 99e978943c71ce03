//! What may be asked of the network. Commands come from people, nodes, gateways and the clock.
//!
//! Ids of what a command makes derive from the command's own id, so the same command twice has the
//! same answer without anything being remembered but the id.

use std::collections::BTreeSet;

use remuda_ledger::Rail;
use remuda_placement::{Plan, Quota};
use remuda_types::{
    Capacity, Class, Country, Digest, GatewayKey, Label, LeaseId, Money, NodeKey, Place, Price,
    ProjectId, ProviderId, SiteId, TenantId, Time, TrancheId, WorkloadId,
};

use crate::event::UsageTotal;
use crate::policy::Policy;
use crate::state::{EndReason, KeyOwner, Scope, Terms};

/// One command.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// The operator sets the network's parameters.
    SetPolicy(Box<Policy>),
    /// The operator lets a gateway spend tranches.
    AdmitGateway {
        /// Which.
        gateway: GatewayKey,
    },
    /// The operator offers a model, or a new file under a known name.
    AddModel {
        /// Its name.
        label: Label,
        /// BLAKE3 of its file.
        digest: Digest,
        /// The file's size.
        bytes: u64,
        /// The file that the name stands for until now, to have it replaced.
        replaces: Option<Digest>,
    },
    /// An owner of nodes joins.
    RegisterProvider {
        /// Its name; one provider has it.
        label: Label,
    },
    /// A provider deposits a bond.
    DepositBond {
        /// Who.
        provider: ProviderId,
        /// How much.
        amount: Money,
        /// From where.
        rail: Rail,
    },
    /// A provider names a place where its nodes stand.
    RegisterSite {
        /// Who.
        provider: ProviderId,
        /// Its name; unique within the provider.
        label: Label,
        /// In which country.
        country: Country,
        /// Where.
        place: Place,
    },
    /// A node joins.
    EnrolNode(Box<EnrolNode>),
    /// A node opened a session.
    NodeConnected {
        /// Which.
        node: NodeKey,
        /// What it has now.
        capacity: Capacity,
    },
    /// A node closed its session in order.
    NodeDisconnected {
        /// Which.
        node: NodeKey,
    },
    /// The failure detector suspects a node.
    NodeSuspected {
        /// Which.
        node: NodeKey,
        /// Its last sign of life.
        last_seen: Time,
    },
    /// The node answered after all.
    NodeCleared {
        /// Which.
        node: NodeKey,
    },
    /// The failure detector judged a node lost.
    NodeLost {
        /// Which.
        node: NodeKey,
        /// Its last sign of life.
        last_seen: Time,
    },
    /// A node's daemon is to stop: its leases are moved away.
    NodeLeaving {
        /// Which.
        node: NodeKey,
    },
    /// Another daemon of a node is connected: what drained for the sake of the last one need not.
    NodeReturned {
        /// Which.
        node: NodeKey,
    },
    /// Its owner wants a node's leases moved away.
    DrainNode {
        /// Which.
        node: NodeKey,
    },
    /// The leases of all nodes of a site are to be moved away, all at once.
    DrainSite {
        /// Which.
        site: SiteId,
    },
    /// A node that drains is to take leases again.
    ResumeNode {
        /// Which.
        node: NodeKey,
    },
    /// Those of a site's nodes that drain are to take leases again.
    ResumeSite {
        /// Which.
        site: SiteId,
    },
    /// A provider leaves.
    LeaveProvider {
        /// Who.
        provider: ProviderId,
        /// With notice, or now.
        manner: LeaveManner,
    },
    /// A tenant is created.
    CreateTenant {
        /// Its name; one tenant has it.
        label: Label,
    },
    /// Money arrives for a tenant.
    TopUp {
        /// Who.
        tenant: TenantId,
        /// How much.
        amount: Money,
        /// From where.
        rail: Rail,
    },
    /// A tenant creates a project.
    CreateProject {
        /// Who.
        tenant: TenantId,
        /// Its name; unique within the tenant.
        label: Label,
    },
    /// A tenant moves prepaid money into a project's budget.
    FundBudget {
        /// Which project.
        project: ProjectId,
        /// How much.
        amount: Money,
    },
    /// An API key is issued.
    IssueKey(Box<IssueKey>),
    /// An API key is revoked.
    RevokeKey {
        /// Which.
        key: remuda_types::ApiKeyId,
    },
    /// A tenant wants something run.
    Deploy {
        /// Who pays.
        project: ProjectId,
        /// What.
        terms: Box<Terms>,
        /// How many copies.
        replicas: u32,
    },
    /// A tenant wants something run as soon as there is room for it.
    PlaceOrder {
        /// Who pays.
        project: ProjectId,
        /// What.
        terms: Box<Terms>,
        /// How many copies, all or none.
        replicas: u32,
        /// The order lapses then.
        until: Time,
    },
    /// A tenant wants no longer what it ordered.
    CancelOrder {
        /// The workload that it would have been.
        workload: WorkloadId,
    },
    /// A tenant wants more or fewer copies.
    Scale {
        /// Of what.
        workload: WorkloadId,
        /// How many.
        replicas: u32,
    },
    /// A tenant wants something run no longer.
    StopWorkload {
        /// What.
        workload: WorkloadId,
    },
    /// A tenant wants something run later.
    Reserve {
        /// Who pays.
        project: ProjectId,
        /// What.
        terms: Box<Terms>,
        /// How many copies.
        replicas: u32,
        /// From when on.
        from: Time,
        /// Before when.
        to: Time,
    },
    /// A tenant wants it no longer; it has not begun.
    CancelReservation {
        /// What: the workload that it would have been.
        workload: WorkloadId,
    },
    /// A node saw a replica change.
    ObserveReplica {
        /// On which node.
        node: NodeKey,
        /// Which lease.
        lease: LeaseId,
        /// The lease's epoch as the node knows it.
        epoch: u64,
        /// What it saw.
        observed: ObservedPhase,
        /// Since when, as the node has it: what it saw while control was away counts from then.
        since: Time,
    },
    /// A gateway wants money to spend without asking.
    OpenTranche {
        /// Who.
        gateway: GatewayKey,
        /// Chosen by the gateway.
        tranche: TrancheId,
        /// From whose budget.
        project: ProjectId,
        /// How much is wished for.
        amount: Money,
    },
    /// A gateway posts what was used.
    PostUsage {
        /// Who.
        gateway: GatewayKey,
        /// From which tranche.
        tranche: TrancheId,
        /// Counts the tranche's posts from 1.
        seq: u64,
        /// One total per lease and key.
        totals: Vec<UsageTotal>,
        /// BLAKE3 of the rows that were summed.
        rows: Digest,
    },
    /// A gateway gives back what is left.
    CloseTranche {
        /// Who.
        gateway: GatewayKey,
        /// Which.
        tranche: TrancheId,
    },
    /// A plan of the whole network was made, to be followed until the next.
    AdoptPlan(Box<NewPlan>),
    /// Replicas that would gain from a move are moved, of so many leases as the policy says.
    Repack {
        /// The first of the leases.
        from: LeaseId,
    },
    /// Time passed: settle, expire, release, place again.
    Tick {
        /// Control has come back and does not know yet what its nodes served and its gateways
        /// spent while it was away: money, and what stands, is left as it is.
        adopting: bool,
    },
}

/// Terms on which a node joins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrolNode {
    /// Which.
    pub node: NodeKey,
    /// Whose.
    pub provider: ProviderId,
    /// Where it stands.
    pub site: SiteId,
    /// Its kind.
    pub class: Class,
    /// What it has.
    pub capacity: Capacity,
    /// Price of the whole node.
    pub price: Price,
}

/// A key to issue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssueKey {
    /// Whose.
    pub owner: KeyOwner,
    /// BLAKE3 of the secret.
    pub digest: Digest,
    /// What it may do.
    pub scopes: BTreeSet<Scope>,
    /// Not valid from then on.
    pub expires: Option<Time>,
    /// Requests a minute at a gateway; 0 is no limit.
    pub requests_per_minute: u32,
}

/// A plan to follow.
#[derive(Clone, Debug, PartialEq)]
pub struct NewPlan {
    /// One more than that of the plan in the state that it was made from; 1 is the first.
    pub number: u64,
    /// What each kind of demand is to have of each cell.
    pub quotas: Vec<Quota>,
    /// What is expected to be asked, and what congestion counts.
    pub packing: Plan,
}

/// How a provider leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaveManner {
    /// With the policy's notice: its nodes drain, nothing is forfeited.
    Notice,
    /// At once.
    Now,
}

/// What a node saw of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObservedPhase {
    /// Fetching what it needs.
    Preparing,
    /// Started.
    Starting,
    /// Served a probe.
    Ready,
    /// Fails its probes.
    Unhealthy,
    /// Over.
    Ended(EndReason),
}
