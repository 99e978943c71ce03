//! The reconcile loop: the only task that changes what the node holds.
//!
//! Inputs: control's assignments and terms, news of the replicas' tasks, the clock. Output: the
//! [`View`]. Each round takes a snapshot of both sides, plans, acts by handing orders to the
//! replicas' tasks, keeps what must outlive the daemon, publishes, and waits for the next input or
//! the next deadline. Nothing here knows whether control can be reached.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use remuda_assignment::{
    Accepted, Action, Assignment, Desired, LeaseAt, Observed, RestartPolicy, Stamp, State,
    StopReason, next_deadline, plan,
};
use remuda_link::Clock;
use remuda_types::Time;
use remuda_wire::node as wire;
use remuda_wire::node::ExitReason;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::exit::without_process;
use crate::replica::{News, Order};
use crate::replicas::{Local, Replicas};
use crate::runtime::Runtimes;
use crate::store::{Record, Store, Told};
use crate::translate;
use crate::view::View;

/// What the loop is told.
#[derive(Debug)]
pub(crate) enum Input {
    /// Control's whole assignment.
    Assignment(wire::Assignment),
    /// The terms of a session.
    Terms(wire::Welcome),
    /// Something happened to a replica's `run`.
    Replica {
        /// Which.
        at: LeaseAt,
        /// Which time it was prepared.
        run: u64,
        /// What.
        news: News,
    },
    /// Control has taken note of these ends (lease and since when).
    EndsNoted(Vec<(LeaseAt, Time)>),
    /// The daemon stops: nothing is to run any more.
    Halt,
}

/// Plans in a row before the loop looks at its inputs again.
const ROUNDS_MAX: usize = 16;

/// While a killed replica is not gone, it is killed again this often.
const KILL_AGAIN: Duration = Duration::from_secs(1);

/// The loop's own state.
pub(crate) struct Reconciler {
    desired: Desired,
    told: Told,
    /// Something in `told` is not kept yet.
    told_fresh: bool,
    specs: BTreeMap<LeaseAt, wire::Assigned>,
    replicas: Replicas,
    kept: Vec<Record>,
    halting: bool,
    runs: u64,
    policy: RestartPolicy,
    clock: Arc<Clock>,
    store: Store,
    runtimes: Runtimes,
    view: watch::Sender<Arc<View>>,
}

/// What the loop works with.
pub(crate) struct Parts {
    /// How restarts are spread.
    pub policy: RestartPolicy,
    /// Control's clock.
    pub clock: Arc<Clock>,
    /// What outlives the daemon.
    pub store: Store,
    /// Ways of running replicas.
    pub runtimes: Runtimes,
    /// Where the view is published.
    pub view: watch::Sender<Arc<View>>,
}

impl Reconciler {
    /// A loop that goes on where the last daemon stopped.
    pub(crate) fn resume(parts: Parts, told: Told, ran: Vec<Record>) -> Self {
        let now = parts.clock.now();
        let mut reconciler = Self {
            desired: Desired::default(),
            told: Told {
                assignment: None,
                terms: told.terms,
            },
            told_fresh: false,
            specs: BTreeMap::new(),
            replicas: Replicas::after_restart(ran, now),
            kept: Vec::new(),
            halting: false,
            runs: 0,
            policy: parts.policy,
            clock: parts.clock,
            store: parts.store,
            runtimes: parts.runtimes,
            view: parts.view,
        };
        if let Some(assignment) = told.assignment {
            reconciler.hold(assignment);
        }
        reconciler.publish();
        reconciler
    }

    /// Runs until `stop`.
    pub(crate) async fn run(mut self, mut inputs: mpsc::Receiver<Input>, stop: CancellationToken) {
        loop {
            self.keep_told().await;
            let wait = self.round();
            self.publish();
            self.keep_replicas().await;
            tokio::select! {
                () = stop.cancelled() => return,
                input = inputs.recv() => match input {
                    Some(input) => self.take(input),
                    None => return,
                },
                () = after(wait) => {}
            }
            while let Ok(input) = inputs.try_recv() {
                self.take(input);
            }
        }
    }

    /// Plans and acts until there is nothing to do now; says when to look again at the latest.
    fn round(&mut self) -> Option<Duration> {
        let wanted = self.wanted();
        let settled = (0..ROUNDS_MAX).any(|_| {
            let now = self.clock.now();
            let actions = plan(&wanted, &self.replicas.observed(), &self.policy, now);
            for action in &actions {
                self.act(*action, now);
            }
            actions
                .iter()
                .all(|action| matches!(action, Action::Kill(_)))
        });
        self.wait(&wanted, &self.replicas.observed(), settled)
    }

    fn wait(&self, wanted: &Desired, observed: &Observed, settled: bool) -> Option<Duration> {
        let now = self.clock.now();
        let due = next_deadline(wanted, observed, &self.policy, now)
            .map(|due| Duration::from_millis(due.since(now).as_millis()));
        let stopping = observed
            .values()
            .any(|replica| replica.state == State::Stopping);
        let again = (stopping || !settled).then_some(KILL_AGAIN);
        due.into_iter().chain(again).min()
    }

    /// What is to run: control's newest assignment, or nothing when the daemon stops.
    fn wanted(&self) -> Desired {
        if !self.halting {
            return self.desired.clone();
        }
        let last = Stamp {
            epoch: u64::MAX,
            generation: u64::MAX,
        };
        let mut nothing = Desired::default();
        if let Ok(empty) = Assignment::new(last, []) {
            // Nothing is held yet, so nothing held is newer.
            let _accepted = nothing.accept(empty);
        }
        nothing
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Assignment(assignment) => self.told_fresh |= self.hold(assignment),
            Input::Terms(terms) => {
                self.told.terms = Some(terms);
                self.told_fresh = true;
            }
            Input::Replica { at, run, news } => self.heard(at, run, news),
            Input::EndsNoted(ends) => self.replicas.ends_noted(&ends),
            Input::Halt => self.halting = true,
        }
    }

    /// Holds an assignment; says whether it is a newer one.
    fn hold(&mut self, offered: wire::Assignment) -> bool {
        let assignment = match translate::assignment(&offered) {
            Ok(assignment) => assignment,
            Err(doubled) => {
                tracing::error!(error = %doubled, "control's assignment is not taken");
                return false;
            }
        };
        match self.desired.accept(assignment) {
            Ok(Accepted::Newer) => {}
            Ok(Accepted::Same) => return false,
            Err(stale) => {
                tracing::warn!(error = %stale, "control's assignment is not taken");
                return false;
            }
        }
        let at = |assigned: &wire::Assigned| LeaseAt {
            lease: assigned.lease,
            epoch: assigned.lease_epoch,
        };
        self.specs = offered
            .replicas
            .iter()
            .map(|assigned| (at(assigned), assigned.clone()))
            .collect();
        self.remember_hard_ends();
        self.told.assignment = Some(offered);
        true
    }

    /// The end that counts once no assignment names the lease any more.
    fn remember_hard_ends(&mut self) {
        for (at, assigned) in &self.specs {
            if let Some(local) = self.replicas.get_mut(*at) {
                local.replica.hard_end = assigned.hard_end;
            }
        }
    }

    fn heard(&mut self, at: LeaseAt, run: u64, news: News) {
        let now = self.clock.now();
        let Some(local) = self.replicas.of_run(at, run) else {
            return;
        };
        if local.replica.state.has_ended() {
            return;
        }
        match news {
            News::Prepared if local.replica.state == State::Preparing => {
                local.enter(State::Prepared, now);
            }
            News::Prepared => {}
            News::Ready => local.fares(State::Ready, now),
            News::Unhealthy => local.fares(State::Unhealthy, now),
            News::Stopping => local.enter(State::Stopping, now),
            News::Ended(exit) => {
                tracing::info!(lease = %at.lease, epoch = at.epoch, reason = ?exit.reason,
                    detail = exit.detail, "a replica ended");
                local.end(exit, &self.policy, now);
            }
        }
    }

    fn act(&mut self, action: Action, now: Time) {
        let at = action.at();
        tracing::debug!(lease = %at.lease, epoch = at.epoch, ?action, "acting");
        match action {
            Action::Prepare(at) => self.prepare(at, now),
            Action::Start(at) => self.with(at, |local| {
                local.enter(State::Starting, now);
                local.order(Order::Start);
            }),
            Action::Restart(at) => self.restart(at, now),
            Action::Drain { at, .. } => self.with(at, |local| {
                local.enter(State::Draining, now);
                local.route.close();
                local.order(Order::Drain);
            }),
            Action::Undrain(at) => self.with(at, |local| {
                local.undrain(now);
                local.route.reopen();
                local.order(Order::Undrain);
            }),
            Action::Stop { at, reason, .. } => self.stop(at, Order::Stop(reason), now),
            Action::FenceOff(at) => {
                self.with(at, |local| local.route.cut.cancel());
                self.stop(at, Order::Kill, now);
            }
            Action::Kill(at) => self.with(at, |local| local.order(Order::Kill)),
            Action::Forget(at) => self.replicas.forget(at),
        }
    }

    fn with(&mut self, at: LeaseAt, act: impl FnOnce(&mut Local)) {
        if let Some(local) = self.replicas.get_mut(at) {
            act(local);
        }
    }

    fn prepare(&mut self, at: LeaseAt, now: Time) {
        if let Some(assigned) = self.specs.get(&at) {
            let local = Local::new(assigned.spec.clone(), assigned.hard_end, now);
            self.replicas.insert(at, local);
            self.begin(at, now);
        }
    }

    fn restart(&mut self, at: LeaseAt, now: Time) {
        self.with(at, |local| {
            local.replica.restarts = local.replica.restarts.saturating_add(1);
        });
        self.begin(at, now);
    }

    /// Begins a run of a replica that is in the book.
    fn begin(&mut self, at: LeaseAt, now: Time) {
        let allowed = self
            .told
            .terms
            .as_ref()
            .is_some_and(|terms| terms.processes_allowed);
        let Some(local) = self.replicas.get_mut(at) else {
            return;
        };
        self.runs += 1;
        local.run = self.runs;
        if let Some(refused) = self.runtimes.refusal(&local.spec, allowed) {
            let exit = without_process(ExitReason::RuntimeRefused, refused.to_string());
            local.end(exit, &self.policy, now);
            return;
        }
        let (orders, receiver) = mpsc::unbounded_channel();
        local.begin(self.runtimes.route(&local.spec), orders, now);
        self.runtimes.spawn(at, local, receiver);
    }

    /// Stops what runs; what does not run yet ends at once.
    fn stop(&mut self, at: LeaseAt, order: Order, now: Time) {
        let Some(local) = self.replicas.get_mut(at) else {
            return;
        };
        local.route.close();
        if local.replica.state.runs() {
            local.order(order);
            local.enter(State::Stopping, now);
        } else {
            local.end(not_started(order), &self.policy, now);
        }
    }

    /// Keeps what control said since it was last kept.
    async fn keep_told(&mut self) {
        if !std::mem::take(&mut self.told_fresh) {
            return;
        }
        let (store, told) = (self.store.clone(), self.told.clone());
        if let Err(error) = blocking(move || store.keep_told(&told)).await {
            tracing::error!(%error, "what control said is not kept: a restarted daemon would not know it");
            // Tried again with the next input: at the latest when the next report is due.
            self.told_fresh = true;
        }
    }

    /// Keeps what runs, if that has changed.
    async fn keep_replicas(&mut self) {
        let records = self.replicas.records();
        if records == self.kept {
            return;
        }
        self.kept.clone_from(&records);
        let store = self.store.clone();
        if let Err(error) = blocking(move || store.keep_replicas(&records)).await {
            tracing::error!(%error, "what runs here is not kept");
            self.kept.clear();
        }
    }

    fn publish(&self) {
        let view = View {
            stamp: self.desired.stamp(),
            grant_key: self.told.terms.as_ref().map(|terms| terms.grant_key),
            replicas: self.replicas.seen(),
        };
        let changed = |held: &mut Arc<View>| {
            let differs = !held.says_the_same(&view);
            *held = Arc::new(view);
            differs
        };
        self.view.send_if_modified(changed);
    }
}

fn not_started(order: Order) -> wire::Exit {
    match order {
        Order::Stop(StopReason::LeaseEnded) => without_process(
            ExitReason::LeaseEnded,
            "the lease's hard end passed before it ran",
        ),
        Order::Stop(reason) => without_process(
            ExitReason::Stopped,
            format!("stopped before it ran: {reason}"),
        ),
        Order::Start | Order::Drain | Order::Undrain | Order::Kill => {
            without_process(ExitReason::Stopped, "fenced off before it ran")
        }
    }
}

/// Work on files, off the threads that serve.
async fn blocking(work: impl FnOnce() -> io::Result<()> + Send + 'static) -> io::Result<()> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)
        .flatten()
}

async fn after(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}
