//! The node's book of its replicas: what each is made of, how far it is, and the task that runs it.

use std::collections::BTreeMap;
use std::sync::Arc;

use remuda_assignment::{LeaseAt, Observed, Replica, RestartPolicy, State};
use remuda_types::{Span, Time};
use remuda_wire::node as wire;
use remuda_wire::node::ExitReason;
use remuda_wire::spec::ReplicaSpec;
use tokio::sync::mpsc;

use crate::exit::without_process;
use crate::replica::Order;
use crate::store::Record;
use crate::translate;
use crate::view::{End, Progress, Route, Seen};

/// Every local replica, those that have ended included until they are forgotten.
#[derive(Debug, Default)]
pub(crate) struct Replicas {
    locals: BTreeMap<LeaseAt, Local>,
}

/// One local replica.
#[derive(Debug)]
pub(crate) struct Local {
    /// What it is made of.
    pub spec: ReplicaSpec,
    /// What the reconciler knows of it.
    pub replica: Replica,
    /// Counts the times it was prepared: news of an earlier one is not news.
    pub run: u64,
    /// Its health, which draining covers up.
    health: State,
    /// Since when it is ready.
    ready_since: Option<Time>,
    /// How it ended the last time it did.
    last_end: Option<End>,
    /// How much of what it needs is here.
    pub progress: Arc<Progress>,
    /// How requests reach it.
    pub route: Arc<Route>,
    /// Its task; dropping this ends the task and whatever it runs.
    pub orders: Option<mpsc::UnboundedSender<Order>>,
}

impl Replicas {
    /// What the last daemon left: what it ran did not outlive it.
    pub(crate) fn after_restart(records: Vec<Record>, now: Time) -> Self {
        let locals = records.into_iter().map(|record| {
            let at = LeaseAt {
                lease: record.lease,
                epoch: record.lease_epoch,
            };
            (at, Local::after_restart(record, now))
        });
        Self {
            locals: locals.collect(),
        }
    }

    /// The records for the next daemon.
    pub(crate) fn records(&self) -> Vec<Record> {
        self.locals
            .iter()
            .map(|(at, local)| local.record(*at))
            .collect()
    }

    /// The book as the reconciler takes it.
    pub(crate) fn observed(&self) -> Observed {
        self.locals
            .iter()
            .map(|(at, local)| (*at, local.replica))
            .collect()
    }

    /// The book as it is published.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.locals
            .iter()
            .map(|(at, local)| local.seen(*at))
            .collect()
    }

    /// One of them.
    pub(crate) fn get_mut(&mut self, at: LeaseAt) -> Option<&mut Local> {
        self.locals.get_mut(&at)
    }

    /// The newest run of one, if `run` is it.
    pub(crate) fn of_run(&mut self, at: LeaseAt, run: u64) -> Option<&mut Local> {
        self.locals.get_mut(&at).filter(|local| local.run == run)
    }

    /// Enters a new one.
    pub(crate) fn insert(&mut self, at: LeaseAt, local: Local) {
        self.locals.insert(at, local);
    }

    /// Drops one.
    pub(crate) fn forget(&mut self, at: LeaseAt) {
        self.locals.remove(&at);
    }

    /// Control has taken note of these ends.
    pub(crate) fn ends_noted(&mut self, ends: &[(LeaseAt, Time)]) {
        for (at, since) in ends {
            if let Some(local) = self.locals.get_mut(at) {
                let same = local.replica.state.has_ended() && local.replica.since == *since;
                local.replica.end_reported |= same;
            }
        }
    }
}

impl Local {
    /// A replica that is about to be prepared.
    pub(crate) fn new(spec: ReplicaSpec, hard_end: Time, now: Time) -> Self {
        let replica = Replica {
            state: State::Preparing,
            since: now,
            spec_digest: translate::spec_digest(&spec),
            hard_end,
            stop_grace: Span::from_millis(spec.stop_grace_ms),
            restarts: 0,
            end_reported: false,
        };
        Self {
            spec,
            replica,
            run: 0,
            health: State::Starting,
            ready_since: None,
            last_end: None,
            progress: Arc::default(),
            route: Arc::new(Route::to(None)),
            orders: None,
        }
    }

    fn after_restart(record: Record, now: Time) -> Self {
        let mut local = Self::new(record.spec, record.hard_end, now);
        local.replica.restarts = record.restarts;
        let detail = "the node daemon restarted";
        let exit = record
            .exit
            .clone()
            .unwrap_or_else(|| without_process(ExitReason::DaemonRestarted, detail));
        if record.exit.is_some() {
            local.replica.since = record.since;
        }
        local.replica.state = State::Ended(translate::exit(exit.reason));
        local.last_end = Some(End {
            at: local.replica.since,
            exit,
        });
        local
    }

    fn record(&self, at: LeaseAt) -> Record {
        Record {
            lease: at.lease,
            lease_epoch: at.epoch,
            spec: self.spec.clone(),
            hard_end: self.replica.hard_end,
            restarts: self.replica.restarts,
            since: self.replica.since,
            exit: self.exit(),
        }
    }

    /// How it ended; none while it lives.
    fn exit(&self) -> Option<wire::Exit> {
        let end = self
            .last_end
            .as_ref()
            .filter(|_| self.replica.state.has_ended());
        end.map(|end| end.exit.clone())
    }

    fn seen(&self, at: LeaseAt) -> Seen {
        Seen {
            at,
            state: self.replica.state,
            since: self.replica.since,
            stop_grace: self.replica.stop_grace,
            last_end: self.last_end.clone(),
            progress: Arc::clone(&self.progress),
            route: Arc::clone(&self.route),
        }
    }

    /// Begins a run: what is known of an earlier one is forgotten.
    pub(crate) fn begin(&mut self, route: Route, orders: mpsc::UnboundedSender<Order>, now: Time) {
        self.enter(State::Preparing, now);
        self.health = State::Starting;
        self.ready_since = None;
        self.replica.end_reported = false;
        self.progress = Arc::default();
        self.route = Arc::new(route);
        self.orders = Some(orders);
    }

    /// It is now in `state`.
    pub(crate) fn enter(&mut self, state: State, now: Time) {
        if self.replica.state != state {
            self.replica.state = state;
            self.replica.since = now;
        }
    }

    /// Its task says how it fares.
    pub(crate) fn fares(&mut self, health: State, now: Time) {
        self.health = health;
        self.ready_since = match health {
            State::Ready => self.ready_since.or(Some(now)),
            _ => None,
        };
        if !matches!(
            self.replica.state,
            State::Draining | State::Stopping | State::Ended(_)
        ) {
            self.enter(health, now);
        }
    }

    /// It takes new work again.
    pub(crate) fn undrain(&mut self, now: Time) {
        self.enter(self.health, now);
    }

    /// It is over.
    pub(crate) fn end(&mut self, exit: wire::Exit, policy: &RestartPolicy, now: Time) {
        let ready = self
            .ready_since
            .map_or(Span::ZERO, |since| now.since(since));
        self.replica.restarts = policy.restarts_after(ready, self.replica.restarts);
        self.enter(State::Ended(translate::exit(exit.reason)), now);
        self.last_end = Some(End {
            at: self.replica.since,
            exit,
        });
        self.route.cut.cancel();
        self.orders = None;
    }

    /// Tells its task something; a task that is gone has said, or will say, how it ended.
    pub(crate) fn order(&self, order: Order) {
        if let Some(orders) = &self.orders
            && orders.send(order).is_err()
        {
            tracing::debug!("the replica's task has ended already");
        }
    }
}
