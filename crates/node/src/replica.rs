//! The task of one run of one replica: prepare, start, probe, stop.
//!
//! Inputs: the reconciler's orders, the runtime, the requests in flight. Output: news to the
//! reconciler, one [`News::Ended`] last. When the orders' sender is dropped the task ends, and with
//! it whatever it ran.

use std::future::pending;
use std::time::Duration;

use remuda_assignment::{LeaseAt, StopReason};
use remuda_wire::node::{Exit, ExitReason};
use tokio::sync::{mpsc, watch};
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};

use crate::config::Pace;
use crate::exit::{Cause, Ended, chain, classify, without_process};
use crate::logs::Log;
use crate::reconcile::Input;
use crate::runtime::{Instance, PrepareError, Runtime};
use crate::view::Progress;

/// What a replica's task is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Run what is prepared.
    Start,
    /// End when no request is in flight.
    Drain,
    /// Go on.
    Undrain,
    /// Ask it to stop.
    Stop(StopReason),
    /// End it now.
    Kill,
}

/// What a replica's task says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// All it needs is here.
    Prepared,
    /// A probe was served.
    Ready,
    /// Probes fail.
    Unhealthy,
    /// It has drained and was asked to stop.
    Stopping,
    /// It is over.
    Ended(Exit),
}

/// What a task works with.
pub(crate) struct Context {
    /// Which replica.
    pub at: LeaseAt,
    /// Which time it was prepared.
    pub run: u64,
    /// What it is told.
    pub orders: mpsc::UnboundedReceiver<Order>,
    /// Whom it tells.
    pub inputs: mpsc::Sender<Input>,
    /// Where its output goes.
    pub log: Log,
    /// How much of what it needs is here.
    pub progress: std::sync::Arc<Progress>,
    /// Requests in flight; none where they do not come through the daemon, so that only the
    /// deadline ends a drain.
    pub streams: Option<watch::Receiver<usize>>,
    /// How often it is probed.
    pub pace: Pace,
    /// When it is given up if no probe was served.
    pub never_ready_after: Duration,
}

/// Runs a replica to its end.
pub(crate) async fn run<R: Runtime>(runtime: R, mut context: Context) {
    let Some(prepared) = prepare(&runtime, &mut context).await else {
        return;
    };
    let ended = match prepared {
        Ok(launch) => started(&runtime, &launch, &mut context).await,
        Err(error) => Some(without_process(ExitReason::PrepareFailed, chain(&error))),
    };
    if let Some(exit) = ended {
        context.log.note(&format!("ended: {}", exit.detail));
        context.tell(News::Ended(exit)).await;
    }
}

/// Nothing when the task's replica is given up while it prepares.
async fn prepare<R: Runtime>(
    runtime: &R,
    context: &mut Context,
) -> Option<Result<R::Launch, PrepareError>> {
    tokio::select! {
        prepared = runtime.prepare(&context.progress) => Some(prepared),
        () = given_up(&mut context.orders) => None,
    }
}

/// Waits until the orders end; none can be followed before the replica is prepared.
async fn given_up(orders: &mut mpsc::UnboundedReceiver<Order>) {
    while orders.recv().await.is_some() {}
}

async fn started<R: Runtime>(
    runtime: &R,
    launch: &R::Launch,
    context: &mut Context,
) -> Option<Exit> {
    context.tell(News::Prepared).await;
    while context.orders.recv().await? != Order::Start {}
    context.log.note("starting");
    match runtime.start(launch, context.log.clone()).await {
        Ok(instance) => Some(Live::new(instance, context).watch(runtime, launch).await),
        Err(error) => {
            let detail = format!("its program cannot be started: {error}");
            Some(without_process(ExitReason::Crashed, detail))
        }
    }
}

/// A replica that runs.
struct Live<'a, I> {
    instance: I,
    context: &'a mut Context,
    cause: Cause,
    draining: bool,
    /// The reconciler has dropped it: no orders come any more.
    dropped: bool,
    health: Health,
}

/// What probes have shown so far.
#[derive(Default)]
struct Health {
    ever_ready: bool,
    ready: bool,
    failures: u32,
}

impl<'a, I: Instance> Live<'a, I> {
    fn new(instance: I, context: &'a mut Context) -> Self {
        Self {
            instance,
            context,
            cause: Cause::None,
            draining: false,
            dropped: false,
            health: Health::default(),
        }
    }

    async fn watch<R: Runtime>(mut self, runtime: &R, launch: &R::Launch) -> Exit {
        let mut probes = ticks(self.context.pace.interval);
        let mut patience = std::pin::pin!(sleep(self.context.never_ready_after));
        let pace = self.context.pace;
        loop {
            tokio::select! {
                ended = self.instance.ended() => return self.exit::<R>(ended),
                order = self.context.orders.recv(), if !self.dropped => self.follow(order),
                () = idle(self.context.streams.as_mut()), if self.drains() => self.drained().await,
                () = &mut patience, if self.waits() => self.give_up(Cause::NeverReady),
                served = probe(runtime, launch, &mut probes, pace) => self.probed(served).await,
            }
        }
    }

    fn exit<R: Runtime>(&self, ended: Ended) -> Exit {
        classify(ended, self.cause, R::COMPLETES)
    }

    fn drains(&self) -> bool {
        self.draining && self.cause == Cause::None
    }

    fn waits(&self) -> bool {
        !self.health.ever_ready && self.cause == Cause::None
    }

    fn follow(&mut self, order: Option<Order>) {
        match order {
            Some(Order::Start) => {}
            Some(Order::Drain) => self.draining = true,
            Some(Order::Undrain) => self.draining = false,
            Some(Order::Stop(reason)) => {
                self.blame(Cause::Stopped(reason));
                self.instance.stop();
            }
            Some(Order::Kill) => self.give_up(Cause::Killed),
            None => {
                self.dropped = true;
                self.give_up(Cause::Killed);
            }
        }
    }

    async fn drained(&mut self) {
        self.blame(Cause::Drained);
        self.instance.stop();
        self.context.tell(News::Stopping).await;
    }

    fn give_up(&mut self, cause: Cause) {
        self.blame(cause);
        self.instance.kill();
    }

    /// The first thing that was done to it is why it ended.
    fn blame(&mut self, cause: Cause) {
        if self.cause == Cause::None {
            self.cause = cause;
        }
    }

    async fn probed(&mut self, served: bool) {
        if let Some(news) = self.health.after(served, self.context.pace.failures) {
            self.context.tell(news).await;
        }
    }
}

impl Health {
    /// What a probe changes.
    fn after(&mut self, served: bool, failures_max: u32) -> Option<News> {
        if served {
            let was_ready = std::mem::replace(&mut self.ready, true);
            self.ever_ready = true;
            self.failures = 0;
            return (!was_ready).then_some(News::Ready);
        }
        self.failures = self.failures.saturating_add(1);
        if !self.ready || self.failures < failures_max {
            return None;
        }
        self.ready = false;
        Some(News::Unhealthy)
    }
}

impl Context {
    async fn tell(&self, news: News) {
        let input = Input::Replica {
            at: self.at,
            run: self.run,
            news,
        };
        if self.inputs.send(input).await.is_err() {
            tracing::debug!("the reconciler has stopped before its replicas");
        }
    }
}

fn ticks(every: Duration) -> Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

async fn probe<R: Runtime>(
    runtime: &R,
    launch: &R::Launch,
    ticks: &mut Interval,
    pace: Pace,
) -> bool {
    ticks.tick().await;
    let served = tokio::time::timeout(pace.within, runtime.probe(launch)).await;
    served.unwrap_or_default()
}

async fn idle(streams: Option<&mut watch::Receiver<usize>>) {
    let Some(streams) = streams else {
        return pending().await;
    };
    if streams.wait_for(|count| *count == 0).await.is_err() {
        pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_count_only_in_a_row() {
        let mut health = Health::default();
        let mut after = |served| health.after(served, 2);
        assert_eq!(after(false), None, "it never was ready");
        assert_eq!(after(true), Some(News::Ready));
        assert_eq!(after(true), None);
        assert_eq!(after(false), None);
        assert_eq!(after(true), None);
        assert_eq!(after(false), None);
        assert_eq!(after(false), Some(News::Unhealthy));
        assert_eq!(after(false), None);
        assert_eq!(after(true), Some(News::Ready));
    }
}
