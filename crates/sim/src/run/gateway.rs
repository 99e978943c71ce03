//! A gateway without sockets: the crates' own purses, balancers and streams behind a spool that a
//! crash may cut short. What it is told and what it says is `gates`' to carry.

mod money;
mod spool;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use remuda_routing::invariant::{self, Violation};
use remuda_routing::pick::{self, Route};
use remuda_routing::stream::Failure;
use remuda_routing::tranche::Reservation;
use remuda_routing::{Balancer, Rate, Stream};
use remuda_types::{ApiKeyId, GatewayKey, LeaseId, ProjectId, RequestId, Time, WorkloadId};

pub(crate) use money::Treasury;
pub(crate) use spool::{Billed, Note, Row, Spool, digest};

/// A model as control's table has it.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) project: ProjectId,
    pub(crate) rate: Rate,
    pub(crate) routes: Vec<Route>,
}

/// Control's whole table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    /// Control's epoch, and the table's number in it: older ones are refused.
    pub(crate) number: (u64, u64),
    pub(crate) models: BTreeMap<WorkloadId, Model>,
}

/// A request that a gateway has taken.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) workload: WorkloadId,
    pub(crate) project: ProjectId,
    pub(crate) key: ApiKeyId,
    pub(crate) rate: Rate,
    /// Tokens of the prompt.
    pub(crate) prompt: u32,
    /// Tokens that the model will write.
    pub(crate) length: u32,
    /// The most that were asked for.
    pub(crate) max: NonZeroU32,
    /// When it came.
    pub(crate) came: Time,
    pub(crate) stage: Stage,
}

/// How far a request has come.
#[derive(Debug)]
pub(crate) enum Stage {
    /// A tranche has been asked for, and it waits for that.
    Unfunded,
    /// Its stream runs.
    Running(Box<Running>),
}

/// A request whose worst case is reserved.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) stream: Stream,
    pub(crate) reservation: Reservation,
    /// What is delivered later cannot be posted.
    pub(crate) deadline: Time,
    /// The reservation is durable from then on; nothing is delivered before.
    pub(crate) durable_at: Time,
    /// Counts what was dispatched: what comes of an earlier dispatch is not heard.
    pub(crate) attempt: u64,
    /// How often the machine had been started that serves it.
    pub(crate) machine_boot: u64,
    /// Whether the attempt's first token came.
    pub(crate) spoke: bool,
    /// It has been sent nowhere yet, and every replica that it may be sent to was full.
    pub(crate) crowded_out: bool,
    /// It waits for a replica that is none of these.
    pub(crate) waiting: Option<Vec<LeaseId>>,
    /// When its next wake-up is planned.
    pub(crate) wakes: Option<Time>,
    /// Tokens that the client got.
    pub(crate) forwarded: u32,
    pub(crate) failure: Option<Failure>,
}

/// One gateway.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) key: GatewayKey,
    /// How often it was started: what was planned for an earlier one comes to nothing.
    pub(crate) boot: u64,
    pub(crate) up: bool,
    pub(crate) money: Treasury,
    pub(crate) spool: Spool,
    pub(crate) table: Arc<Table>,
    pub(crate) lanes: BTreeMap<WorkloadId, Balancer>,
    pub(crate) open: BTreeMap<RequestId, Request>,
}

impl Gateway {
    pub(crate) fn new(key: GatewayKey) -> Self {
        Self {
            key,
            boot: 1,
            up: true,
            money: Treasury::default(),
            spool: Spool::default(),
            table: Arc::default(),
            lanes: BTreeMap::new(),
            open: BTreeMap::new(),
        }
    }

    /// Takes a table, unless it has a newer one.
    pub(crate) fn learn(&mut self, table: Arc<Table>) {
        if table.number <= self.table.number {
            return;
        }
        for (workload, model) in &table.models {
            let lane = self.lanes.entry(*workload);
            let lane = lane.or_insert_with(|| Balancer::new(pick::Policy::default()));
            lane.update(model.routes.iter().copied());
        }
        let gone = self.lanes.iter_mut();
        let gone = gone.filter(|(workload, _)| !table.models.contains_key(workload));
        gone.for_each(|(_, lane)| lane.update([]));
        self.table = table;
    }

    /// It dies: what is not durable is gone. Bills that are, and how much each open request's client
    /// had got.
    pub(crate) fn crash(&mut self, now: Time) -> (Vec<Billed>, Vec<(RequestId, u32)>) {
        let billed = self.spool.crash(now);
        let open = std::mem::take(&mut self.open).into_iter();
        let cut_off = open.map(|(id, request)| match request.stage {
            Stage::Unfunded => (id, 0),
            Stage::Running(running) => (id, running.forwarded),
        });
        self.up = false;
        self.boot += 1;
        self.money = Treasury::default();
        self.lanes.clear();
        (billed, cut_off.collect())
    }

    /// It is there again, with what its spool holds.
    pub(crate) fn restart(&mut self, now: Time) -> Vec<Billed> {
        let (recovered, billed) = self.spool.recover();
        self.money = Treasury::restored(recovered, now);
        // The last table lies beside the spool.
        let table = std::mem::take(&mut self.table);
        self.learn(table);
        self.up = true;
        billed
    }

    /// The routing crate's own promises.
    pub(crate) fn check(&self) -> Result<(), Violation> {
        self.money.check()?;
        self.lanes
            .values()
            .try_for_each(invariant::check_balancer)?;
        self.open
            .values()
            .try_for_each(|request| match &request.stage {
                Stage::Unfunded => Ok(()),
                Stage::Running(running) => invariant::check_stream(&running.stream),
            })
    }
}
