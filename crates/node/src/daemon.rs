//! The daemon started and stopped.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use remuda_link::{Allowance, BindError, ClientError, Clock, Endpoint, bind};
use remuda_types::NodeKey;
use remuda_wire::node::Inventory;
use remuda_wire::{ALPN_INFER, ALPN_PROBE};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::door::{self, Door};
use crate::http::{self, Pages};
use crate::identity::{self, StateDir, node_key};
use crate::inventory::{self, nvidia::Gpus};
use crate::leftovers;
use crate::logs::Logs;
use crate::metrics::Metrics;
use crate::model::{self, Models, Retry};
use crate::pause::Pauses;
use crate::reconcile::{self, Input, Reconciler};
use crate::runtime::{self, Runtimes};
use crate::session::Session;
use crate::store::{self, Record, Store, Told};
use crate::view::View;

/// Inputs that may wait for the reconciler.
const INPUTS: usize = 256;

/// How long the system may take to end what was killed.
const KILLED_WITHIN: Duration = Duration::from_secs(10);

/// How long peers may take to hear that the daemon is gone.
const CLOSED_WITHIN: Duration = Duration::from_millis(500);

/// A daemon that leaves waits this long for a control that is away to come back.
const CONTROL_BACK_WITHIN: Duration = Duration::from_secs(3);

/// Why the daemon did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The state folder cannot be used.
    #[error(transparent)]
    State(#[from] identity::Error),
    /// What the last daemon kept cannot be read.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The node's address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The address for metrics cannot be listened on.
    #[error("cannot serve metrics on {address}: choose another address, or stop what has it")]
    Metrics {
        /// Which.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// There is no HTTP client.
    #[error(transparent)]
    Http(#[from] ClientError),
}

/// Control refused the node for good: the daemon can only stop.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("control refuses this node: {0}")]
pub struct Refused(pub String);

/// A daemon that runs. Dropping it ends everything at once; [`Running::stop`] does it in order.
#[derive(Debug)]
pub struct Running {
    key: NodeKey,
    endpoint: Endpoint,
    addresses: Vec<SocketAddr>,
    metrics: Option<SocketAddr>,
    leave_grace: Duration,
    refused: watch::Receiver<Option<Refused>>,
    stop: DropGuard,
    shared: Shared,
    _state: StateDir,
}

/// Starts the daemon.
pub async fn start(config: Config) -> Result<Running, StartError> {
    Ok(Opened::open(config).await?.run())
}

/// All that may be refused, opened.
struct Opened {
    config: Config,
    state: StateDir,
    node: NodeKey,
    store: Store,
    told: Told,
    ran: Vec<Record>,
    http: reqwest::Client,
    pages: Option<TcpListener>,
    endpoint: Endpoint,
}

impl Opened {
    async fn open(config: Config) -> Result<Self, StartError> {
        let state = StateDir::open(&config.state_dir)?;
        let key = state.key()?;
        let node = node_key(&key);
        leftovers::kill_all(node);
        let store = Store::of(&state);
        let (told, ran) = (store.told()?, store.replicas()?);
        let http = model::client()?;
        let pages = listen(config.metrics).await?;
        let endpoint = bind(remuda_link::Config {
            key,
            bind: config.bind,
            alpns: vec![ALPN_INFER.to_vec(), ALPN_PROBE.to_vec()],
            relays: Vec::new(),
            patience: config.policy.patience,
            allowance: Allowance::STRANGER,
        })
        .await?;
        Ok(Self {
            config,
            state,
            node,
            store,
            told,
            ran,
            http,
            pages,
            endpoint,
        })
    }

    fn run(self) -> Running {
        let found = inventory::find(&self.config);
        tracing::info!(node = %self.node, class = %found.inventory.class, "this node starts");
        let (inputs, inbox) = mpsc::channel(INPUTS);
        let (publish, view) = watch::channel(Arc::new(View::default()));
        let (refuse, refused) = watch::channel(None);
        let (connect, connected) = watch::channel(false);
        let shared = Shared {
            clock: Arc::new(Clock::of_system()),
            pauses: Arc::new(Pauses::new()),
            logs: Arc::new(Logs::new(self.state.logs())),
            metrics: Arc::new(Metrics::new()),
            tasks: TaskTracker::new(),
            inputs,
            view,
            connected,
            leaving: CancellationToken::new(),
            farewell: CancellationToken::new(),
            stop: CancellationToken::new(),
        };
        let gpus = found.gpus.map(Arc::new);
        let addresses = addresses(&self.config, &self.endpoint);
        let found = (found.inventory, addresses.clone());
        let session = shared.session(&self, found, connect);
        shared
            .tasks
            .spawn(keep(session, refuse, shared.stop.clone()));
        shared
            .tasks
            .spawn(shared.door(self.node).accept(self.endpoint.clone()));
        let runtimes = shared.runtimes(&self);
        let parts = shared.reconciler(&self, runtimes, publish);
        let Self {
            config,
            state,
            node,
            told,
            ran,
            pages,
            endpoint,
            ..
        } = self;
        let reconciler = Reconciler::resume(parts, told, ran);
        shared
            .tasks
            .spawn(reconciler.run(inbox, shared.stop.clone()));
        let (watching, stop) = (Arc::clone(&shared.pauses).watch(), shared.stop.clone());
        shared
            .tasks
            .spawn(async move { stop.run_until_cancelled(watching).await });
        let metrics = pages.as_ref().and_then(|pages| pages.local_addr().ok());
        if let Some(listener) = pages {
            shared.tasks.spawn(http::serve(
                listener,
                shared.pages(gpus),
                shared.stop.clone(),
            ));
        }
        Running {
            key: node,
            endpoint,
            addresses,
            metrics,
            leave_grace: config.policy.leave_grace,
            refused,
            stop: shared.stop.clone().drop_guard(),
            shared,
            _state: state,
        }
    }
}

/// What the tasks share.
#[derive(Debug)]
struct Shared {
    clock: Arc<Clock>,
    pauses: Arc<Pauses>,
    logs: Arc<Logs>,
    metrics: Arc<Metrics>,
    tasks: TaskTracker,
    inputs: mpsc::Sender<Input>,
    view: watch::Receiver<Arc<View>>,
    connected: watch::Receiver<bool>,
    leaving: CancellationToken,
    farewell: CancellationToken,
    stop: CancellationToken,
}

impl Shared {
    fn runtimes(&self, opened: &Opened) -> Runtimes {
        let models = &opened.config.model_cache;
        let parts = runtime::Parts {
            config: opened.config.clone(),
            node: opened.node,
            models: Models::new(models.clone(), opened.http.clone(), Retry::default()),
            logs: Arc::clone(&self.logs),
            inputs: self.inputs.clone(),
            tasks: self.tasks.clone(),
            http: opened.http.clone(),
        };
        Runtimes::new(&opened.state, parts)
    }

    fn reconciler(
        &self,
        opened: &Opened,
        runtimes: Runtimes,
        view: watch::Sender<Arc<View>>,
    ) -> reconcile::Parts {
        reconcile::Parts {
            policy: opened.config.policy.restarts,
            clock: Arc::clone(&self.clock),
            store: opened.store.clone(),
            runtimes,
            view,
        }
    }

    fn door(&self, node: NodeKey) -> Door {
        Door::new(door::Parts {
            node,
            view: self.view.clone(),
            clock: Arc::clone(&self.clock),
            metrics: Arc::clone(&self.metrics),
            tasks: self.tasks.clone(),
            stop: self.stop.clone(),
        })
    }

    fn pages(&self, gpus: Option<Arc<Gpus>>) -> Pages {
        Pages {
            metrics: Arc::clone(&self.metrics),
            view: self.view.clone(),
            gpus,
        }
    }

    fn session(
        &self,
        opened: &Opened,
        (inventory, addresses): (Inventory, Vec<SocketAddr>),
        connected: watch::Sender<bool>,
    ) -> Session {
        Session {
            endpoint: opened.endpoint.clone(),
            control: opened.config.control.clone(),
            addresses,
            boot: boot(&self.clock),
            inventory,
            enrolment: opened.config.enrolment.clone(),
            patience: opened.config.policy.patience,
            view: self.view.clone(),
            connected,
            inputs: self.inputs.clone(),
            clock: Arc::clone(&self.clock),
            system_clock: false,
            pauses: Arc::clone(&self.pauses),
            logs: Arc::clone(&self.logs),
            metrics: Arc::clone(&self.metrics),
            leaving: self.leaving.clone(),
            stop: self.farewell.clone(),
        }
    }
}

async fn keep(session: Session, refuse: watch::Sender<Option<Refused>>, stop: CancellationToken) {
    let refused = tokio::select! {
        refused = session.keep() => refused,
        () = stop.cancelled() => None,
    };
    if let Some(detail) = refused {
        refuse.send_replace(Some(Refused(detail)));
    }
}

async fn listen(address: Option<SocketAddr>) -> Result<Option<TcpListener>, StartError> {
    let Some(address) = address else {
        return Ok(None);
    };
    let listener = TcpListener::bind(address).await;
    listener
        .map(Some)
        .map_err(|source| StartError::Metrics { address, source })
}

/// Where others can dial the node.
fn addresses(config: &Config, endpoint: &Endpoint) -> Vec<SocketAddr> {
    if !config.advertise.is_empty() {
        return config.advertise.clone();
    }
    let bound = endpoint.bound_sockets();
    if bound.iter().all(|address| !address.ip().is_unspecified()) {
        return bound;
    }
    endpoint.addr().ip_addrs().copied().collect()
}

/// Differs with every start; later starts have higher ones unless the clock was set back.
fn boot(clock: &Clock) -> u64 {
    clock.now().as_millis()
}

impl Running {
    /// The key that names this node.
    pub fn key(&self) -> NodeKey {
        self.key
    }

    /// Where the node can be dialled.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Where metrics are served, if they are.
    pub fn metrics(&self) -> Option<SocketAddr> {
        self.metrics
    }

    /// Waits until control refuses the node for good; never returns otherwise.
    pub async fn refused(&self) -> Refused {
        let mut refused = self.refused.clone();
        if let Ok(refused) = refused.wait_for(Option::is_some).await
            && let Some(refused) = refused.clone()
        {
            return refused;
        }
        std::future::pending().await
    }

    /// Stops in order: control is told and has the policy's `leave_grace` to move what runs here,
    /// what is left is stopped as politely as its spec asks, control hears how it ended.
    pub async fn stop(mut self) {
        self.shared.leaving.cancel();
        let stopped = self.stop_within();
        if !self.moved().await {
            tracing::warn!("control did not move all leases; what is left is stopped");
        }
        let halted = self.shared.inputs.send(Input::Halt).await.is_ok();
        if halted && timeout(stopped, self.idle()).await.is_err() {
            tracing::error!("a replica does not end though it was killed");
        }
        self.shared.farewell.cancel();
        let Self {
            endpoint,
            shared,
            stop,
            refused,
            ..
        } = self;
        said_farewell(refused).await;
        drop(stop);
        shared.tasks.close();
        shared.tasks.wait().await;
        // Peers that are there know at once; one that is gone is not waited for.
        drop(timeout(CLOSED_WITHIN, endpoint.close()).await);
    }

    /// Waits until control has moved what runs here. Where there is no control nobody will.
    async fn moved(&mut self) -> bool {
        let (grace, alone) = (self.leave_grace, alone(self.shared.connected.clone()));
        tokio::select! {
            moved = timeout(grace, self.idle()) => moved.is_ok(),
            () = alone => false,
        }
    }

    /// How long what runs may take to stop and, if it does not, to be killed.
    fn stop_within(&self) -> Duration {
        let view = self.shared.view.borrow();
        let graces = view.replicas.iter().map(|seen| seen.stop_grace.as_millis());
        Duration::from_millis(graces.max().unwrap_or(0)) + KILLED_WITHIN
    }

    /// Waits until nothing is left that runs or will.
    async fn idle(&mut self) {
        let idle = self.shared.view.wait_for(|view| view.is_idle()).await;
        // Without a reconciler nothing runs.
        drop(idle);
    }
}

/// Waits until there is no session with control and none comes soon.
async fn alone(mut connected: watch::Receiver<bool>) {
    while connected.wait_for(|connected| !connected).await.is_ok() {
        let back = connected.wait_for(|connected| *connected);
        if !matches!(timeout(CONTROL_BACK_WITHIN, back).await, Ok(Ok(_))) {
            return;
        }
    }
}

/// Waits until the session's task has ended, which drops its sender.
async fn said_farewell(mut refused: watch::Receiver<Option<Refused>>) {
    while refused.changed().await.is_ok() {}
}
