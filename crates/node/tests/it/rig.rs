//! What most tests begin with: a control, a daemon's configuration, specs, and patience.

use std::collections::BTreeMap;
use std::fs;
use std::future::Future;
use std::path::Path;
use std::time::Duration;

use remuda_assignment::RestartPolicy;
use remuda_link::{EndpointId, Patience};
use remuda_node::{Config, ControlAddress, Pace, Policy, Running, start};
use remuda_types::{Digest, LeaseId, Price, ReplicaId, Shape, SiteId, Span, Time, WorkloadId};
use remuda_wire::node::{Assigned, Enrolment, Wanted};
use remuda_wire::spec::{EngineSpec, HealthCheck, ProcessSpec, ReplicaSpec, RuntimeSpec};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::control::{Control, Session, Terms};
use crate::roles;

/// No test waits longer for what must come.
const PATIENCE: Duration = Duration::from_mins(1);

/// A control, and a daemon that works for it.
pub struct Rig {
    pub folder: TempDir,
    pub control: Control,
    pub node: Running,
}

impl Rig {
    /// A daemon in its first session.
    pub async fn start() -> (Self, Session) {
        Self::start_with(Terms::default(), |_| {}).await
    }

    /// The same, with other terms and another configuration.
    pub async fn start_with(terms: Terms, change: impl FnOnce(&mut Config)) -> (Self, Session) {
        let folder = tempfile::tempdir().unwrap();
        let mut control = Control::start(terms).await;
        let mut config = config(folder.path(), control.address());
        change(&mut config);
        let node = start(config).await.unwrap();
        let session = control.session().await;
        (
            Self {
                folder,
                control,
                node,
            },
            session,
        )
    }

    /// A model's file, and the spec of an engine that serves it.
    pub fn model(&self, content: &[u8]) -> ReplicaSpec {
        let path = self.folder.path().join("origin.gguf");
        fs::write(&path, content).unwrap();
        engine(
            Digest::of(content),
            content.len(),
            &format!("file://{}", path.display()),
        )
    }
}

/// A daemon's configuration for tests: all deadlines short.
pub fn config(state: &Path, control: ControlAddress) -> Config {
    let mut config = Config::new(state.to_owned(), control);
    config.bind = "127.0.0.1:0".parse().unwrap();
    config.enrolment = Some(Enrolment {
        provider_key: "key".to_owned(),
        site: SiteId::from_u128(1),
        price: Price::from_micros_per_hour(1),
    });
    config.engine = roles::command("roles::engine")
        .into_iter()
        .map(Into::into)
        .collect();
    let path = std::env::vars_os().find(|(name, _)| name == "PATH");
    config.environment = path.into_iter().collect();
    config.policy = Policy {
        restarts: RestartPolicy {
            delay: Span::from_millis(50),
            ..RestartPolicy::default()
        },
        probes: Pace {
            interval: Duration::from_millis(50),
            failures: 3,
            within: Duration::from_millis(500),
        },
        never_ready_after: PATIENCE,
        leave_grace: PATIENCE,
        patience: Patience {
            keep_alive: Duration::from_millis(200),
            idle: Duration::from_secs(1),
        },
    };
    config
}

/// A control's address from its texts.
pub fn address(id: &str, at: &str) -> ControlAddress {
    let id: EndpointId = id.parse().unwrap();
    ControlAddress {
        id,
        addresses: vec![at.parse().unwrap()],
    }
}

pub fn lease(n: u128) -> LeaseId {
    LeaseId::from_u128(n)
}

/// A replica to run for a long time.
pub fn assigned(n: u128, lease_epoch: u64, spec: ReplicaSpec) -> Assigned {
    Assigned {
        lease: lease(n),
        lease_epoch,
        replica: ReplicaId::from_u128(n),
        workload: WorkloadId::from_u128(n),
        hard_end: Time::FOREVER,
        wanted: Wanted::Run,
        spec,
    }
}

fn replica(runtime: RuntimeSpec) -> ReplicaSpec {
    ReplicaSpec {
        shape: Shape::default(),
        runtime,
        health: None,
        stop_grace_ms: 5_000,
    }
}

/// A plain process that plays a role.
pub fn process(arguments: &[&str]) -> ReplicaSpec {
    let command = roles::with("roles::process", arguments);
    let env = BTreeMap::from([("OWN".to_owned(), "yes".to_owned())]);
    replica(RuntimeSpec::Process(ProcessSpec { command, env }))
}

/// The same, ready when its port takes connections.
pub fn process_with_port(arguments: &[&str], port: u16) -> ReplicaSpec {
    let health = HealthCheck {
        port,
        path: None,
        interval_ms: 50,
        failures: 3,
    };
    ReplicaSpec {
        health: Some(health),
        ..process(arguments)
    }
}

/// An engine that serves a model.
pub fn engine(model: Digest, bytes: usize, url: &str) -> ReplicaSpec {
    replica(RuntimeSpec::Engine(EngineSpec {
        model,
        model_bytes: bytes as u64,
        url: url.to_owned(),
        context_tokens: 64,
        slots: 1,
        threads: 1,
    }))
}

/// What must come, in time.
pub async fn soon<T>(what: &str, coming: impl Future<Output = T>) -> T {
    let came = tokio::time::timeout(PATIENCE, coming).await;
    came.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
}

/// Waits until something holds.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let held = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    soon(what, held).await;
}

/// Whether a process lives (one that has ended but was not reaped does not).
pub fn lives(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit(") ")
        .next()
        .and_then(|rest| rest.chars().next());
    state.is_some_and(|state| state != 'Z' && state != 'X')
}

impl Rig {
    /// A page that the daemon serves, head and all.
    pub async fn page(&self, path: &str) -> String {
        let address = self.node.metrics().unwrap();
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: node\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }
}
