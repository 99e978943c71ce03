//! Control started and stopped: recovery, threads, listeners.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread;

use remuda_journal::{Journal, OpenError, Seq, SnapshotError, Snapshots};
use remuda_link::{BindError, Endpoint, SecretKey};
use remuda_network::Command;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::{self, Clock};
use crate::config::Config;
use crate::core::Core;
use crate::core::recover::{self, RecoverError, Recovered};
use crate::core::vitals::{Failure, Part, Vitals};
use crate::detector::Detector;
use crate::follower::{Cutter, Feed, Follower};
use crate::http;
use crate::metrics::Metrics;
use crate::planning;
use crate::projection::catch_up::{CatchUpError, catch_up};
use crate::projection::{self, ProjectionError, Projections};
use crate::sequencer::{Sequencer, SubmitError};
use crate::session::{self, Sessions};
use crate::vault::{self, Vault};

/// Commands that may wait for the sequencer.
const QUEUE: usize = 4 * crate::sequencer::BATCH_MAX;

/// Why control did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The journal cannot be opened.
    #[error(transparent)]
    Journal(#[from] OpenError),
    /// The snapshots cannot be opened.
    #[error(transparent)]
    Snapshots(#[from] SnapshotError),
    /// The journal cannot be read back.
    #[error(transparent)]
    Recover(#[from] RecoverError),
    /// The projections cannot be opened.
    #[error(transparent)]
    Projections(#[from] ProjectionError),
    /// The vault cannot be opened.
    #[error(transparent)]
    Vault(#[from] vault::OpenError),
    /// A file of the data folder cannot be used.
    #[error("cannot use {}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The HTTP address cannot be listened on.
    #[error("cannot listen on {address}: choose another with --http, or stop what has it")]
    Http {
        /// Which.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The iroh address cannot be listened on.
    #[error(transparent)]
    Iroh(#[from] BindError),
    /// The first commands (policy) were not accepted.
    #[error("the network's policy was not accepted")]
    Policy(#[source] SubmitError),
}

impl From<CatchUpError> for StartError {
    fn from(error: CatchUpError) -> Self {
        match error {
            CatchUpError::Recover(error) => error.into(),
            CatchUpError::Projections(error) => error.into(),
        }
    }
}

/// A control that runs.
#[derive(Debug)]
pub struct Running {
    /// Its inside.
    pub core: Core,
    /// Where the HTTP API listens.
    pub http: SocketAddr,
    /// Where nodes and gateways connect.
    pub endpoint: Endpoint,
    stop: CancellationToken,
    tasks: TaskTracker,
    threads: Vec<thread::JoinHandle<()>>,
}

/// Starts control.
pub async fn start(config: Config) -> Result<Running, StartError> {
    let http = listen(config.http).await?;
    let address = http.local_addr().map_err(|source| StartError::Http {
        address: config.http,
        source,
    })?;
    let secret = control_key(&config.data_dir)?;
    let endpoint = session::bind(&config, SecretKey::from_bytes(&secret)).await?;
    let metrics = Metrics::default();
    let (core, projections, threads) = open(config, secret, metrics.clone())?;
    set_policy(&core).await.map_err(StartError::Policy)?;

    let stop = CancellationToken::new();
    let tasks = TaskTracker::new();
    let sessions = Sessions::new(endpoint.clone(), &secret);
    let detector = Detector::spawn(&tasks, core.clone(), sessions.clone(), stop.clone());
    let doors = session::Doors {
        core: core.clone(),
        sessions: sessions.clone(),
        detector,
    };
    let vitals = core.vitals();
    let sessions_door = session::accept(doors, tasks.clone(), stop.clone());
    tasks.spawn(vitals.task(Part::Sessions, stop.clone(), sessions_door));
    tasks.spawn(planning::run(core.clone(), metrics.clone(), stop.clone()));
    let app = http::App {
        core: core.clone(),
        projections,
        sessions,
    };
    let router = http::router(app, metrics);
    let serving = http::serve(http, router, stop.clone());
    tasks.spawn(vitals.task(Part::Http, stop.clone(), serving));
    Ok(Running {
        core,
        http: address,
        endpoint,
        stop,
        tasks,
        threads,
    })
}

async fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| StartError::Http { address, source })
}

/// A thread of control.
type Thread = thread::JoinHandle<()>;

/// Opens the data folder, brings everything up to date and starts the two threads.
fn open(
    config: Config,
    secret: [u8; 32],
    metrics: Metrics,
) -> Result<(Core, Projections, Vec<Thread>), StartError> {
    let dir = config.data_dir.clone();
    let journal = Journal::open(&dir, config.claim)?;
    let snapshots = Snapshots::open(&dir)?;
    let recovered = recover::network(journal.view(), &snapshots)?;
    let clock = Arc::new(Clock::starting_at(recovered.network.state().clock));
    let vault = Vault::open(secret, journal.view())?;
    let (mut projector, projections) = projection::open(&dir.join("projections.db"))?;
    catch_up(journal.view(), &snapshots, &mut projector)?;

    let epoch = journal.epoch().0;
    let (submit, messages) = sync_channel(QUEUE);
    let (publish, publications) = sync_channel(QUEUE);
    let follower = Arc::new(Follower::new(Recovered {
        network: recovered.network.clone(),
        seq: recovered.seq,
    }));
    let cutter = Cutter::new(
        Snapshots::open(&dir)?,
        config.snapshot_every,
        recovered.seq,
        metrics.clone(),
    );
    let feed = Feed {
        follower: Arc::clone(&follower),
        projector,
        cutter,
    };
    let store = (journal, snapshots, vault.clone());
    let adopting = (config.adopting(), metrics);
    let sequencer = Sequencer::new(recovered, store, Arc::clone(&clock), publish, adopting);
    let vitals = Vitals::default();
    let threads = vec![
        watched(&vitals, Part::Sequencer, move || sequencer.run(&messages)),
        watched(&vitals, Part::Follower, move || feed.run(&publications)),
    ];
    let core = Core::new(submit, follower, vault, clock, (config, epoch), vitals);
    Ok((core, projections, threads))
}

/// A thread that returns only when it was asked to; a panic is a failure of control.
fn watched(vitals: &Vitals, part: Part, run: impl FnOnce() + Send + 'static) -> Thread {
    let watch = vitals.watch(part);
    thread::spawn(move || {
        run();
        watch.release();
    })
}

/// The key that names control, seals its vault and signs route grants.
fn control_key(dir: &Path) -> Result<[u8; 32], StartError> {
    let path = dir.join("control.key");
    let failed = |source| StartError::File {
        path: path.clone(),
        source,
    };
    fs::create_dir_all(dir).map_err(failed)?;
    match fs::read(&path) {
        Ok(bytes) => <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| {
            failed(io::Error::new(
                io::ErrorKind::InvalidData,
                "a key has 32 bytes",
            ))
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let secret = clock::secret();
            write_secret(&path, &secret).map_err(failed)?;
            Ok(secret)
        }
        Err(error) => Err(failed(error)),
    }
}

fn write_secret(path: &Path, secret: &[u8]) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    io::Write::write_all(&mut file, secret)?;
    file.sync_all()
}

/// The configured policy, if it is not the network's already.
async fn set_policy(core: &Core) -> Result<(), SubmitError> {
    let policy = core.config().policy.clone();
    if core.read(|network| network.state().policy == policy) {
        return Ok(());
    }
    core.submit_own(Command::SetPolicy(Box::new(policy)))
        .await
        .map(|_| ())
}

impl Running {
    /// Stops in order: doors first, then what was accepted is made durable, then a snapshot.
    pub async fn stop(self) {
        let Self {
            core,
            endpoint,
            stop,
            tasks,
            threads,
            ..
        } = self;
        stop.cancel();
        tasks.close();
        tasks.wait().await;
        endpoint.close().await;
        let joined = tokio::task::spawn_blocking(move || {
            // Told, not left to notice: a connection that was broken off may hold the core for long.
            core.stop();
            for thread in threads {
                if thread.join().is_err() {
                    tracing::error!("a thread of control panicked");
                }
            }
        });
        joined.await.unwrap_or_default();
    }

    /// Waits until a part of control ends unasked. Then nothing that control says is sure any more:
    /// whoever runs it should [`Running::stop`] what is left and report the failure.
    pub async fn failed(&self) -> Failure {
        self.core.vitals().failed().await
    }

    /// The newest durable record.
    pub fn seq(&self) -> Seq {
        *self.core.changes().borrow()
    }
}
