//! A gateway started and stopped.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use remuda_link::{Allowance, BindError, ClientError, Clock, Endpoint, Patience, SecretKey};
use remuda_tokens::Constraints;
use remuda_types::GatewayKey;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::control_link::{self, ControlLink};
use crate::door;
use crate::files::{self, FileError};
use crate::fleet::Fleet;
use crate::gateway::Gateway;
use crate::kept::{self, Responses, StoreError};
use crate::metrics::Metrics;
use crate::models::Models;
use crate::money::{self, Treasury};
use crate::node_link::Nodes;
use crate::request::{self, OpenRequests};
use crate::spool::{OpenError, Spool};
use crate::table::Table;

/// How often those who wait for a replica are looked at.
const QUEUE_TICK: Duration = Duration::from_millis(25);

/// How long what was cut off may take to settle.
const LAST_BILLS: Duration = Duration::from_secs(5);

/// Why a gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A file or folder cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// Kept responses cannot be opened.
    #[error("the file of kept responses cannot be opened")]
    Kept(#[from] StoreError),
    /// The spool cannot be opened.
    #[error(transparent)]
    Spool(#[from] OpenError),
    /// The HTTP address cannot be listened on.
    #[error("cannot listen on {address}: choose another, or stop what has it")]
    Http {
        /// Which.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The iroh address cannot be listened on.
    #[error(transparent)]
    Iroh(#[from] BindError),
    /// The HTTP client for model files cannot be made.
    #[error("model files could not be fetched")]
    Fetch(#[source] ClientError),
}

/// How long the spool may be unwritable before the gateway counts as failed.
const SPOOL_PATIENCE: Duration = Duration::from_mins(1);

/// Why a gateway that runs can no longer serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failed {
    /// What it must not forget cannot be written.
    #[error("the spool could not be written for a minute: see the log and make room on its disk")]
    Spool,
}

/// A gateway that runs. Dropping it stops nothing: use [`Running::stop`].
#[derive(Debug)]
pub struct Running {
    /// Where clients connect.
    pub http: SocketAddr,
    /// Its name.
    pub key: GatewayKey,
    gateway: Arc<Gateway>,
    endpoint: Endpoint,
    spool_thread: JoinHandle<()>,
}

/// Starts a gateway. It serves at once from what it knew when it ended; control may come later.
pub async fn start(config: Config) -> Result<Running, StartError> {
    files::folder(&config.state_dir)?;
    files::folder(&config.model_cache)?;
    let listener = listen(config.http).await?;
    let http = listener
        .local_addr()
        .map_err(|source| refused(config.http, source))?;
    let endpoint = bind(&config).await?;
    let key = GatewayKey(*endpoint.id().as_bytes());
    let (gateway, spool_thread) = open(config, &endpoint)?;
    run_tasks(&gateway);
    let serve = door::serve(listener, Arc::clone(&gateway));
    gateway.tasks.spawn(serve);
    Ok(Running {
        http,
        key,
        gateway,
        endpoint,
        spool_thread,
    })
}

async fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| refused(address, source))
}

fn refused(address: SocketAddr, source: std::io::Error) -> StartError {
    StartError::Http { address, source }
}

async fn bind(config: &Config) -> Result<Endpoint, StartError> {
    let secret = files::secret(&config.state_dir.join("gateway.key"))?;
    let endpoint = remuda_link::bind(remuda_link::Config {
        key: SecretKey::from_bytes(&secret),
        bind: config.bind,
        alpns: Vec::new(),
        relays: Vec::new(),
        patience: Patience::default(),
        allowance: Allowance::PEER,
    });
    Ok(endpoint.await?)
}

fn open(config: Config, endpoint: &Endpoint) -> Result<(Arc<Gateway>, JoinHandle<()>), StartError> {
    let clock = Clock::of_system();
    let (spool, recovered, thread) = Spool::open(&config.state_dir)?;
    if recovered.cut_off > 0 {
        tracing::warn!(
            requests = recovered.cut_off,
            "requests that were cut off are billed what had been delivered"
        );
    }
    let models = Models::new(config.model_cache.clone()).map_err(StartError::Fetch)?;
    let (limits, policies) = (config.limits, config.policies);
    let gateway = Arc::new(Gateway {
        table: Table::open(&config.state_dir)?,
        fleet: Fleet::new(&policies),
        limiter: std::sync::Mutex::default(),
        treasury: Treasury::new(policies.purse, spool.clone(), recovered, clock.now()),
        spool,
        models: Arc::new(models),
        constraints: Arc::new(Constraints::of_bytes()),
        compilers: Arc::new(Semaphore::new(cores().div_ceil(2))),
        encoders: Arc::new(Semaphore::new(cores())),
        nodes: Nodes::new(endpoint.clone(), limits.dial_within),
        control: ControlLink::new(endpoint.clone(), config.control.clone(), limits.ask_within),
        responses: Arc::new(Responses::open(&config.state_dir, policies.kept)?),
        open: OpenRequests::default(),
        metrics: Metrics::new(),
        tasks: TaskTracker::new(),
        requests: TaskTracker::new(),
        closing: AtomicBool::new(false),
        cut: CancellationToken::new(),
        stop: CancellationToken::new(),
        clock,
        config,
    });
    gateway
        .fleet
        .update(&gateway.table.view().routes, gateway.clock.now());
    Ok((gateway, thread))
}

/// Encoding keeps a core busy: no more at once than there are.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

fn run_tasks(gateway: &Arc<Gateway>) {
    gateway.prepare();
    let tasks = &gateway.tasks;
    tasks.spawn(control_link::keep(Arc::clone(gateway)));
    tasks.spawn(money::keep_asking(Arc::clone(gateway)));
    tasks.spawn(money::keep_posting(Arc::clone(gateway)));
    tasks.spawn(request::keep_checkpoints(Arc::clone(gateway)));
    tasks.spawn(kept::keep_purging(Arc::clone(gateway)));
    tasks.spawn(tick(Arc::clone(gateway)));
}

async fn tick(gateway: Arc<Gateway>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(QUEUE_TICK) => gateway.fleet.tick(gateway.clock.now()),
            () = gateway.stop.cancelled() => return,
        }
    }
}

impl Running {
    /// Waits until the gateway can no longer serve and has not come right by itself. Stop it then,
    /// with an error, so that whatever watches over it starts it anew.
    pub async fn failed(&self) -> Failed {
        self.gateway.spool.given_up(SPOOL_PATIENCE).await;
        Failed::Spool
    }

    /// Serves `/metrics` at an address of its own, and says where. The metrics name projects and
    /// what they have left: the address is for operators, not for tenants.
    pub async fn serve_metrics(&self, address: SocketAddr) -> Result<SocketAddr, StartError> {
        let listener = listen(address).await?;
        let bound = listener
            .local_addr()
            .map_err(|source| refused(address, source))?;
        let serve = door::serve_operators(listener, Arc::clone(&self.gateway));
        self.gateway.tasks.spawn(serve);
        Ok(bound)
    }

    /// Stops in order: admits nothing new, lets what runs go on for [`Limits::drain`], cuts off the
    /// rest, posts all usage and closes the tranches. What control cannot be told now stays in the
    /// spool.
    ///
    /// [`Limits::drain`]: crate::Limits::drain
    pub async fn stop(self) {
        let gateway = self.gateway;
        gateway.closing.store(true, Ordering::Relaxed);
        gateway.requests.close();
        let drain = gateway.config.limits.drain;
        if tokio::time::timeout(drain, gateway.requests.wait())
            .await
            .is_err()
        {
            tracing::warn!(requests = gateway.requests.len(), "requests are cut off");
            gateway.cut.cancel();
            drop(tokio::time::timeout(LAST_BILLS, gateway.requests.wait()).await);
        }
        money::finish(&gateway).await;
        gateway.stop.cancel();
        gateway.tasks.close();
        drop(tokio::time::timeout(LAST_BILLS, gateway.tasks.wait()).await);
        self.endpoint.close().await;
        drop(gateway);
        // The spool's thread ends with the last holder of the gateway.
        let joined = tokio::task::spawn_blocking(move || self.spool_thread.join());
        drop(tokio::time::timeout(LAST_BILLS, joined).await);
    }
}
