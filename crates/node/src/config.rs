//! What a daemon is told when it starts. The binary parses it once; nothing here reads the
//! environment.

use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use remuda_assignment::RestartPolicy;
use remuda_link::{EndpointId, Patience};
use remuda_types::Class;
use remuda_wire::node::Enrolment;

/// How to run the daemon. [`Config::new`] gives the defaults; fields are then set by name.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the key, the newest assignment and the logs are kept. One daemon at a time.
    pub state_dir: PathBuf,
    /// Whom the node works for.
    pub control: ControlAddress,
    /// Where to listen for gateways and probes (UDP).
    pub bind: SocketAddr,
    /// Where others can dial the node; empty: what it is bound to.
    pub advertise: Vec<SocketAddr>,
    /// The right to join; needed the first time only.
    pub enrolment: Option<Enrolment>,
    /// The hardware class, when it is not to be found out.
    pub class: Option<Class>,
    /// Capacity, where less is offered than was found.
    pub capacity: CapacityOverrides,
    /// Where models are kept; may be shared by the daemons of one machine.
    pub model_cache: PathBuf,
    /// The engine's program and its first arguments; empty: this node runs no models.
    pub engine: Vec<OsString>,
    /// What an engine's environment holds. Plain processes get its `PATH` alone.
    pub environment: Vec<(OsString, OsString)>,
    /// Where `/metrics` and `/health` are served, if anywhere.
    pub metrics: Option<SocketAddr>,
    /// Deadlines and paces.
    pub policy: Policy,
}

/// Where control is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlAddress {
    /// The key that names it.
    pub id: EndpointId,
    /// Where it listens.
    pub addresses: Vec<SocketAddr>,
}

/// What the node offers, where that is not what was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CapacityOverrides {
    /// Thousandths of a CPU core.
    pub cpu_milli: Option<u64>,
    /// Main memory in MiB.
    pub memory_mib: Option<u64>,
    /// Disk in MiB.
    pub disk_mib: Option<u64>,
}

/// Deadlines and paces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How restarts are spread.
    pub restarts: RestartPolicy,
    /// How engines are probed, and replicas without a health check of their own.
    pub probes: Pace,
    /// A replica that served no probe for so long after its start is given up.
    pub never_ready_after: Duration,
    /// How long control has to move the node's leases after the daemon was asked to stop.
    pub leave_grace: Duration,
    /// How soon a silent connection counts as broken.
    pub patience: Patience,
}

/// How often a replica is probed, and when failures count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Between probes.
    pub interval: Duration,
    /// Consecutive failures that make it unhealthy.
    pub failures: u32,
    /// How long one probe may take.
    pub within: Duration,
}

impl Config {
    /// A configuration with the defaults: a node of `control` that listens on any address.
    pub fn new(state_dir: PathBuf, control: ControlAddress) -> Self {
        Self {
            model_cache: state_dir.join("models"),
            state_dir,
            control,
            bind: SocketAddr::from(([0, 0, 0, 0], 0)),
            advertise: Vec::new(),
            enrolment: None,
            class: None,
            capacity: CapacityOverrides::default(),
            engine: Vec::new(),
            environment: Vec::new(),
            metrics: None,
            policy: Policy::default(),
        }
    }

    /// `PATH` as plain processes get it.
    pub(crate) fn path(&self) -> Option<&OsStr> {
        let found = self.environment.iter().find(|(name, _)| name == "PATH");
        found.map(|(_, value)| value.as_os_str())
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            restarts: RestartPolicy::default(),
            probes: Pace::default(),
            never_ready_after: Duration::from_mins(2),
            leave_grace: Duration::from_mins(1),
            patience: Patience::default(),
        }
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            failures: 3,
            within: Duration::from_secs(2),
        }
    }
}
