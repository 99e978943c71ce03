//! Control's Prometheus metrics.
//!
//! Counters are bumped where things happen; gauges are set from the follower's state when somebody
//! asks ([`Metrics::render`]), so they cannot drift from it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use remuda_network::{Command, State};

use crate::planning::Planned;

/// The handle; clones count into the same registry.
#[derive(Clone)]
pub struct Metrics {
    inner: Arc<Inner>,
}

struct Inner {
    registry: Registry,
    commands: Family<CommandLabels, Counter>,
    commit: Histogram,
    requests: Family<RequestLabels, Counter>,
    seq: Gauge,
    writable: Gauge,
    sessions: Gauge,
    gateways: Gauge,
    nodes: Family<NodeLabels, Gauge>,
    leases: Family<LeaseLabels, Gauge>,
    ledger_total: Gauge,
    checks: Counter,
    violations: Counter,
    plans: Counter,
    plan: Histogram,
    cost_gap: Gauge<f64, AtomicU64>,
    plan_unserved: Gauge,
    observed: Mutex<Option<Instant>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CommandLabels {
    kind: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: String,
    method: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NodeLabels {
    presence: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LeaseLabels {
    phase: &'static str,
}

/// What a scrape finds out beside the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The newest durable record.
    pub seq: u64,
    /// Whether commands are taken.
    pub writable: bool,
    /// Nodes with a session.
    pub sessions: usize,
    /// Gateways with a session.
    pub gateways: usize,
}

/// How long gauges are given out as they are.
const FRESH_FOR: Duration = Duration::from_secs(1);

const PRESENCES: [&str; 6] = ["away", "up", "suspect", "draining", "lost", "left"];
const PHASES: [&str; 6] = [
    "placed",
    "preparing",
    "starting",
    "ready",
    "suspect",
    "draining",
];

impl Default for Metrics {
    fn default() -> Self {
        // From a quarter of a millisecond to four seconds.
        let commit = Histogram::new(exponential_buckets(0.000_25, 2.0, 15));
        let mut inner = Inner {
            registry: Registry::with_prefix("remuda"),
            commands: Family::default(),
            commit,
            requests: Family::default(),
            seq: Gauge::default(),
            writable: Gauge::default(),
            sessions: Gauge::default(),
            gateways: Gauge::default(),
            nodes: Family::default(),
            leases: Family::default(),
            ledger_total: Gauge::default(),
            observed: Mutex::default(),
            checks: Counter::default(),
            violations: Counter::default(),
            plans: Counter::default(),
            // From a millisecond to half a minute.
            plan: Histogram::new(exponential_buckets(0.001, 2.0, 15)),
            cost_gap: Gauge::default(),
            plan_unserved: Gauge::default(),
        };
        // Nobody knows before the first plan.
        inner.cost_gap.set(f64::NAN);
        inner.register();
        Self {
            inner: Arc::new(inner),
        }
    }
}

impl Inner {
    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "commands",
            "Commands by kind and outcome",
            self.commands.clone(),
        );
        let (name, help) = (
            "commit",
            "From the first command of a batch to its durability",
        );
        registry.register_with_unit(name, help, Unit::Seconds, self.commit.clone());
        registry.register(
            "http_requests",
            "Requests by route and status",
            self.requests.clone(),
        );
        registry.register("seq", "The newest durable record", self.seq.clone());
        registry.register(
            "writable",
            "1 while commands are taken",
            self.writable.clone(),
        );
        registry.register("sessions", "Nodes with a session", self.sessions.clone());
        registry.register("gateways", "Gateways with a session", self.gateways.clone());
        registry.register("nodes", "Nodes by presence", self.nodes.clone());
        registry.register("leases", "Live leases by phase", self.leases.clone());
        let help = "The sum of all balances; anything but 0 is a bug";
        registry.register("ledger_total_micros", help, self.ledger_total.clone());
        let help = "States held to the network's invariants, one a snapshot";
        registry.register("invariant_checks", help, self.checks.clone());
        let help = "States that break one of them; anything but 0 is a bug";
        registry.register("invariant_violations", help, self.violations.clone());
        registry.register("plans", "Plans of the whole network", self.plans.clone());
        let help = "From the look at the network to its plan";
        registry.register_with_unit("plan", help, Unit::Seconds, self.plan.clone());
        let help = "How far what is paid is above the least possible, in millionths, certified";
        registry.register("cost_gap_ppm", help, self.cost_gap.clone());
        let help = "What the plan has no place for, in thousandths of a GPU";
        registry.register("plan_unserved_gpu_milli", help, self.plan_unserved.clone());
    }
}

impl Metrics {
    /// Counts a command of a [`kind`]; `outcome` is `done`, `repeat`, `read-only` or a refusal's code.
    pub fn command(&self, kind: &'static str, outcome: &'static str) {
        let labels = CommandLabels { kind, outcome };
        self.inner.commands.get_or_create(&labels).inc();
    }

    /// Notes how long a batch took to become durable.
    pub fn committed(&self, took: Duration) {
        self.inner.commit.observe(took.as_secs_f64());
    }

    /// Counts a request. `route` is a pattern, never a path with ids.
    pub fn request(&self, route: &str, method: &str, status: u16) {
        let (route, method) = (route.to_owned(), method.to_owned());
        self.inner
            .requests
            .get_or_create(&RequestLabels {
                route,
                method,
                status,
            })
            .inc();
    }

    /// Whether the gauges should be brought up to date now: yes to one caller a second, since it
    /// means a walk over the whole state, and no key is needed to ask for it.
    pub fn is_stale(&self) -> bool {
        let mut observed = self
            .inner
            .observed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let stale = observed.is_none_or(|at| at.elapsed() >= FRESH_FOR);
        if stale {
            *observed = Some(Instant::now());
        }
        stale
    }

    /// Counts a state that was held to the network's invariants.
    pub fn examined(&self, sound: bool) {
        self.inner.checks.inc();
        self.inner.violations.inc_by(u64::from(!sound));
    }

    /// Counts a batch that breaks one.
    pub fn violated(&self) {
        self.inner.violations.inc();
    }

    /// Notes what a plan says.
    pub fn planned(&self, planned: Planned) {
        let inner = &self.inner;
        inner.plans.inc();
        #[expect(
            clippy::cast_precision_loss,
            reason = "a gap worth telling is far below 2^53"
        )]
        let gap_ppm = planned.gap_ppm.map_or(f64::NAN, |ppm| ppm as f64);
        inner.cost_gap.set(gap_ppm);
        inner.plan_unserved.set(gauge(planned.unserved_gpu_milli));
        inner.plan.observe(planned.took.as_secs_f64());
    }

    /// Brings the gauges up to date.
    pub fn observe(&self, state: &State, standing: Standing) {
        let inner = &self.inner;
        inner.seq.set(gauge(standing.seq));
        inner.writable.set(i64::from(standing.writable));
        inner.sessions.set(gauge(standing.sessions as u64));
        inner.gateways.set(gauge(standing.gateways as u64));
        let total = state.ledger.total_micros();
        inner
            .ledger_total
            .set(i64::try_from(total).unwrap_or(i64::MAX));
        let nodes = counted(
            &PRESENCES,
            state.nodes.values().map(|node| node.presence.as_str()),
        );
        for (presence, count) in nodes {
            inner
                .nodes
                .get_or_create(&NodeLabels { presence })
                .set(count);
        }
        let leases = counted(
            &PHASES,
            state.leases.values().map(|lease| lease.phase.as_str()),
        );
        for (phase, count) in leases {
            inner
                .leases
                .get_or_create(&LeaseLabels { phase })
                .set(count);
        }
    }

    /// Everything, in the `OpenMetrics` text format.
    pub fn render(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.inner.registry)?;
        Ok(text)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

fn gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// How often each word occurs; words that do not occur are there with 0.
fn counted(
    words: &[&'static str],
    found: impl Iterator<Item = &'static str>,
) -> BTreeMap<&'static str, i64> {
    let mut counts: BTreeMap<_, i64> = words.iter().map(|word| (*word, 0)).collect();
    found.for_each(|word| *counts.entry(word).or_default() += 1);
    counts
}

/// The word for a kind of command.
pub const fn kind(command: &Command) -> &'static str {
    match command {
        Command::SetPolicy(_) => "set-policy",
        Command::AdmitGateway { .. } => "admit-gateway",
        Command::AddModel { .. } => "add-model",
        Command::RegisterProvider { .. } => "register-provider",
        Command::DepositBond { .. } => "deposit-bond",
        Command::RegisterSite { .. } => "register-site",
        Command::EnrolNode(_) => "enrol-node",
        Command::NodeConnected { .. } => "node-connected",
        Command::NodeDisconnected { .. } => "node-disconnected",
        Command::NodeSuspected { .. } => "node-suspected",
        Command::NodeCleared { .. } => "node-cleared",
        Command::NodeLost { .. } => "node-lost",
        Command::NodeLeaving { .. } => "node-leaving",
        Command::NodeReturned { .. } => "node-returned",
        Command::DrainNode { .. } => "drain-node",
        Command::DrainSite { .. } => "drain-site",
        Command::ResumeNode { .. } => "resume-node",
        Command::ResumeSite { .. } => "resume-site",
        Command::LeaveProvider { .. } => "leave-provider",
        Command::CreateTenant { .. } => "create-tenant",
        Command::TopUp { .. } => "top-up",
        Command::CreateProject { .. } => "create-project",
        Command::FundBudget { .. } => "fund-budget",
        Command::IssueKey(_) => "issue-key",
        Command::RevokeKey { .. } => "revoke-key",
        Command::Deploy { .. } => "deploy",
        Command::Scale { .. } => "scale",
        Command::StopWorkload { .. } => "stop-workload",
        Command::ObserveReplica { .. } => "observe-replica",
        Command::OpenTranche { .. } => "open-tranche",
        Command::PostUsage { .. } => "post-usage",
        Command::CloseTranche { .. } => "close-tranche",
        Command::AdoptPlan(_) => "adopt-plan",
        Command::Repack { .. } => "repack",
        Command::PlaceOrder { .. } => "place-order",
        Command::CancelOrder { .. } => "cancel-order",
        Command::Reserve { .. } => "reserve",
        Command::CancelReservation { .. } => "cancel-reservation",
        Command::Tick { .. } => "tick",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gauges_are_brought_up_to_date_by_one_caller_a_second() {
        let metrics = Metrics::default();
        assert!(metrics.is_stale());
        assert!(!metrics.is_stale());
        std::thread::sleep(FRESH_FOR);
        assert!(metrics.is_stale());
    }

    #[test]
    fn what_is_counted_is_rendered() {
        let metrics = Metrics::default();
        metrics.command("tick", "done");
        metrics.clone().command("tick", "done");
        metrics.committed(Duration::from_millis(3));
        metrics.request("/v1/nodes/{id}", "GET", 200);
        let standing = Standing {
            seq: 7,
            writable: true,
            sessions: 2,
            gateways: 1,
        };
        metrics.observe(&State::default(), standing);
        let unknown = metrics.render().unwrap();
        assert!(unknown.contains("remuda_cost_gap_ppm NaN"), "{unknown}");
        metrics.examined(true);
        metrics.examined(false);
        metrics.planned(Planned {
            gap_ppm: Some(4_200),
            unserved_gpu_milli: 500,
            quotas: 3,
            took: Duration::from_millis(20),
        });
        let text = metrics.render().unwrap();
        for line in [
            "remuda_commands_total{kind=\"tick\",outcome=\"done\"} 2",
            "remuda_commit_seconds_count 1",
            "remuda_http_requests_total{route=\"/v1/nodes/{id}\",method=\"GET\",status=\"200\"} 1",
            "remuda_seq 7",
            "remuda_writable 1",
            "remuda_sessions 2",
            "remuda_nodes{presence=\"lost\"} 0",
            "remuda_leases{phase=\"ready\"} 0",
            "remuda_ledger_total_micros 0",
            "remuda_invariant_checks_total 2",
            "remuda_invariant_violations_total 1",
            "remuda_plans_total 1",
            "remuda_cost_gap_ppm 4200.0",
            "remuda_plan_unserved_gpu_milli 500",
            "remuda_plan_seconds_count 1",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }
}
