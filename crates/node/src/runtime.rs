//! Ways of running replicas, behind one trait.
//!
//! Containers join with an implementation of [`Runtime`] and a line in [`Runtimes::spawn`].

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use remuda_assignment::LeaseAt;
use remuda_types::NodeKey;
use remuda_wire::spec::{HealthCheck, ReplicaSpec, RuntimeSpec};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::config::{Config, Pace};
use crate::exit::Ended;
use crate::identity::StateDir;
use crate::logs::{Log, Logs};
use crate::model::{self, Models};
use crate::reconcile::Input;
use crate::replica::{self, Context, Order};
use crate::replicas::Local;
use crate::view::{Progress, Route};

mod child;
mod engine;
pub(crate) mod fork;
mod memory;
mod process;

use engine::EngineReplica;
use process::ProcessReplica;

/// One replica's way of running.
pub(crate) trait Runtime: Send + Sync + 'static {
    /// All that a start needs.
    type Launch: Send + Sync;
    /// What runs.
    type Instance: Instance;
    /// Whether its program may end by itself with success.
    const COMPLETES: bool;

    /// Fetches what the replica needs.
    fn prepare(
        &self,
        progress: &Progress,
    ) -> impl Future<Output = Result<Self::Launch, PrepareError>> + Send;

    /// Starts it.
    fn start(
        &self,
        launch: &Self::Launch,
        log: Log,
    ) -> impl Future<Output = io::Result<Self::Instance>> + Send;

    /// Whether it serves a probe now.
    fn probe(&self, launch: &Self::Launch) -> impl Future<Output = bool> + Send;
}

/// Something that runs. Dropping it ends it.
pub(crate) trait Instance: Send + 'static {
    /// Asks it to stop.
    fn stop(&self);

    /// Ends it now.
    fn kill(&self);

    /// Waits for its end. May be dropped and called again.
    fn ended(&mut self) -> impl Future<Output = Ended> + Send;
}

/// Why a replica's needs could not be met.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PrepareError {
    /// The model is not here.
    #[error("its model is not here")]
    Model(#[from] model::Error),
    /// The working folder cannot be made.
    #[error("its working folder {} cannot be made", .path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Why this node does not run a replica of such a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// The network forbids plain processes.
    #[error(
        "this network does not allow plain processes: its operator may, with the policy for development networks"
    )]
    Processes,
    /// The command is empty.
    #[error("the command is empty: it must name a program")]
    NoCommand,
    /// The daemon has no engine.
    #[error("this node runs no models: its daemon was started without an engine")]
    NoEngine,
}

/// All ways of running that this node has.
#[derive(Clone, Debug)]
pub(crate) struct Runtimes {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: Config,
    node: NodeKey,
    models: Models,
    logs: Arc<Logs>,
    sockets: PathBuf,
    work: PathBuf,
    socket_count: AtomicU64,
    inputs: mpsc::Sender<Input>,
    tasks: TaskTracker,
    http: reqwest::Client,
}

/// What [`Runtimes`] work with.
pub(crate) struct Parts {
    /// The daemon's configuration.
    pub config: Config,
    /// This node.
    pub node: NodeKey,
    /// Where models are kept.
    pub models: Models,
    /// Where output goes.
    pub logs: Arc<Logs>,
    /// Whom replicas' tasks tell.
    pub inputs: mpsc::Sender<Input>,
    /// Where their tasks are counted.
    pub tasks: TaskTracker,
    /// For health checks.
    pub http: reqwest::Client,
}

impl Runtimes {
    /// The ways of running of a daemon.
    pub(crate) fn new(state: &StateDir, parts: Parts) -> Self {
        let shared = Shared {
            config: parts.config,
            node: parts.node,
            models: parts.models,
            logs: parts.logs,
            sockets: state.sockets(),
            work: state.work(),
            socket_count: AtomicU64::new(0),
            inputs: parts.inputs,
            tasks: parts.tasks,
            http: parts.http,
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Why such a replica is not run here, if it is not.
    pub(crate) fn refusal(&self, spec: &ReplicaSpec, processes_allowed: bool) -> Option<Refusal> {
        match &spec.runtime {
            RuntimeSpec::Engine(_) => self
                .shared
                .config
                .engine
                .is_empty()
                .then_some(Refusal::NoEngine),
            RuntimeSpec::Process(_) if !processes_allowed => Some(Refusal::Processes),
            RuntimeSpec::Process(process) => {
                process.command.is_empty().then_some(Refusal::NoCommand)
            }
        }
    }

    /// How requests will reach a new run of a replica.
    pub(crate) fn route(&self, spec: &ReplicaSpec) -> Route {
        let socket = match spec.runtime {
            RuntimeSpec::Engine(_) => {
                let count = self.shared.socket_count.fetch_add(1, Ordering::Relaxed);
                Some(self.shared.sockets.join(format!("{count}.sock")))
            }
            RuntimeSpec::Process(_) => None,
        };
        Route::to(socket)
    }

    /// Spawns the task of a run that has begun in the book.
    pub(crate) fn spawn(&self, at: LeaseAt, local: &Local, orders: mpsc::UnboundedReceiver<Order>) {
        let context = self.context(at, local, orders);
        let span = tracing::info_span!("replica", lease = %at.lease, epoch = at.epoch);
        match &local.spec.runtime {
            RuntimeSpec::Engine(spec) => {
                let socket = local.route.socket.clone().unwrap_or_default();
                let engine = EngineReplica::new(&self.shared, spec.clone(), socket);
                self.shared
                    .tasks
                    .spawn(replica::run(engine, context).instrument(span));
            }
            RuntimeSpec::Process(spec) => {
                let health = local.spec.health.clone();
                let process =
                    ProcessReplica::new(&self.shared, spec.clone(), health, at, local.run);
                self.shared
                    .tasks
                    .spawn(replica::run(process, context).instrument(span));
            }
        }
    }

    fn context(
        &self,
        at: LeaseAt,
        local: &Local,
        orders: mpsc::UnboundedReceiver<Order>,
    ) -> Context {
        let policy = self.shared.config.policy;
        Context {
            at,
            run: local.run,
            orders,
            inputs: self.shared.inputs.clone(),
            log: self.shared.logs.open(at.lease),
            progress: Arc::clone(&local.progress),
            streams: local
                .route
                .socket
                .as_ref()
                .map(|_| local.route.streams.subscribe()),
            pace: pace(local.spec.health.as_ref(), policy.probes),
            never_ready_after: policy.never_ready_after,
        }
    }
}

/// The pace that a health check asks for.
fn pace(health: Option<&HealthCheck>, default: Pace) -> Pace {
    health.map_or(default, |check| Pace {
        interval: Duration::from_millis(check.interval_ms.max(INTERVAL_MIN_MS)),
        failures: check.failures.max(1),
        within: default.within,
    })
}

/// No replica is probed more often.
const INTERVAL_MIN_MS: u64 = 50;
