//! A promise that was found broken: always a fault of the code that is simulated, or of the
//! simulator. The seed brings it back.

use remuda_network::invariant::Violation;
use remuda_types::{LeaseId, NodeKey, Price, ReplicaId, RequestId, Time, TrancheId, WorkloadId};

use super::spending::Misspent;

/// What was found broken.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The network's own invariants.
    #[error("the network breaks an invariant")]
    Network(#[from] Violation),
    /// A node's reconciler broke one of its promises.
    #[error("node {node}'s reconciler breaks a promise")]
    Reconciler {
        /// Whose.
        node: NodeKey,
        /// Which.
        #[source]
        violation: remuda_assignment::invariant::Violation,
    },
    /// A replica runs twice under one epoch.
    #[error("epoch {epoch} of {replica} runs on two nodes, {node} being one")]
    RunsTwice {
        /// Which replica.
        replica: ReplicaId,
        /// Under which epoch.
        epoch: u64,
        /// One of the nodes.
        node: NodeKey,
    },
    /// A lease was charged for more than it served.
    #[error(
        "{lease} was charged for {charged_ms} ms and served {served_ms} ms, {allowed_ms} more are allowed"
    )]
    Overcharged {
        /// Which.
        lease: LeaseId,
        /// For how long it was charged.
        charged_ms: u64,
        /// For how long it served.
        served_ms: u64,
        /// What is not noticed at once may be charged.
        allowed_ms: u64,
    },
    /// The journal gives another network than the one that was answered from.
    #[error("the journal gives another network than the one that lives")]
    Journal,
    /// A record of the journal cannot be read back.
    #[error("a record of the journal cannot be read back")]
    Record(#[source] minicbor::decode::Error),
    /// After a calm a replica is still not served.
    #[error("{0} does not serve though nothing ails the network")]
    Unrecovered(LeaseId),
    /// A replica was to be placed again by now.
    #[error("{0} has no node, and nobody looked for one when it was time")]
    Waiting(ReplicaId),
    /// There is no plan of the network.
    #[error("the network cannot be planned")]
    Plan(#[from] super::planning::PlanError),
    /// The routing crate's own promises.
    #[error("a gateway breaks a promise")]
    Routing(#[from] remuda_routing::invariant::Violation),
    /// A gateway's purse did not take a bill.
    #[error("a request's bill cannot be settled")]
    Unsettled(#[source] remuda_routing::tranche::SettleError),
    /// A tenant's money in a gateway's hands went astray.
    #[error("the money of tranche {tranche}")]
    Misspent {
        /// Which.
        tranche: TrancheId,
        /// What is wrong.
        #[source]
        misspent: Misspent,
    },
    /// A client got a token out of turn, before its reservation was durable or after its deadline,
    /// or an answer that is not whole.
    #[error("{request}: token {index} is out of turn, missing, too early or too late")]
    Garbled {
        /// Whose.
        request: RequestId,
        /// Which token.
        index: u32,
    },
    /// What had been taken is not there.
    #[error("{0} was taken, and is not there")]
    Unkept(WorkloadId),
    /// A reservation, or a standing order that was filled, has not all of its replicas.
    #[error("{0} was booked whole, and has it in part")]
    BookedInPart(WorkloadId),
    /// A reservation began, and did not get what was kept for it.
    #[error("reservation {0} began without what node {1} kept for it")]
    NotGiven(WorkloadId, NodeKey),
    /// A reservation was to begin or to end by now, or a standing order to be tried.
    #[error("{0} was due, and control did nothing")]
    Overdue(WorkloadId),
    /// A lease costs more than its tenant said that it may.
    #[error(
        "{lease} costs {} micro-USD an hour, {} are the most", .price.micros_per_hour(), .most.micros_per_hour()
    )]
    Dearer {
        /// Which.
        lease: LeaseId,
        /// What it costs.
        price: Price,
        /// What it may cost.
        most: Price,
    },
    /// A workload has not as many replicas as it was scaled to.
    #[error("{0} was scaled, and has another number of replicas")]
    Unscaled(WorkloadId),
    /// After a calm requests are still open.
    #[error("{0} requests hang though nothing ails the network")]
    Hanging(usize),
    /// The sites have nowhere to stand.
    #[error("setting the network up: the sites have nowhere to stand")]
    Deserted(#[from] crate::world::Deserted),
    /// A command that has to be taken was refused.
    #[error("setting the network up: a command was refused")]
    Refused(#[from] remuda_network::Refusal),
    /// A command did not make what it is to make.
    #[error("setting the network up: a command made nothing")]
    Barren,
}

/// A broken promise, and when it was noticed.
#[derive(Debug, thiserror::Error)]
#[error("seed {seed}, {} ms after the start", .at.as_millis())]
pub struct Failure {
    /// The seed that brings it back.
    pub seed: u64,
    /// When it was noticed, since the start.
    pub at: remuda_types::Span,
    /// What.
    #[source]
    pub broken: Broken,
}

impl Failure {
    pub(crate) fn new(seed: u64, start: Time, now: Time, broken: Broken) -> Self {
        let at = now.since(start);
        Self { seed, at, broken }
    }
}
