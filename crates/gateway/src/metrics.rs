//! What the operator sees. No name that a tenant chose is a label: workloads stand as ids.

use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use remuda_routing::stream::Move;
use remuda_types::{Money, ProjectId, WorkloadId};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByStatus {
    workload: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByKind {
    workload: String,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
enum Kind {
    Prompt,
    Completion,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByWorkload {
    workload: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByProject {
    project: String,
}

/// Bounds in seconds, for first tokens and for gaps.
const BOUNDS: [f64; 14] = [
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0,
];

type ByWorkloadHistogram = Family<ByWorkload, Histogram, fn() -> Histogram>;

/// All counters.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<ByStatus, Counter>,
    tokens: Family<ByKind, Counter>,
    first_token: ByWorkloadHistogram,
    gap: ByWorkloadHistogram,
    resumes: Family<ByWorkload, Counter>,
    resume_gap: ByWorkloadHistogram,
    waiting: Family<ByWorkload, Gauge>,
    purse: Family<ByProject, Gauge>,
    usage_lost: Counter,
    control_up: Gauge,
}

fn histogram() -> Histogram {
    Histogram::new(BOUNDS)
}

fn workload(workload: WorkloadId) -> ByWorkload {
    ByWorkload {
        workload: workload.to_string(),
    }
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let histograms = || ByWorkloadHistogram::new_with_constructor(histogram);
        let mut metrics = Self {
            registry: Registry::with_prefix("remuda_gateway"),
            requests: Family::default(),
            tokens: Family::default(),
            first_token: histograms(),
            gap: histograms(),
            resumes: Family::default(),
            resume_gap: histograms(),
            waiting: Family::default(),
            purse: Family::default(),
            usage_lost: Counter::default(),
            control_up: Gauge::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let to = &mut self.registry;
        to.register("requests", "Requests by HTTP status", self.requests.clone());
        to.register("tokens", "Tokens billed", self.tokens.clone());
        to.register_with_unit(
            "first_token",
            "From admission to the first token",
            Unit::Seconds,
            self.first_token.clone(),
        );
        to.register_with_unit("gap", "Between tokens", Unit::Seconds, self.gap.clone());
        to.register(
            "resumes",
            "Streams that went on elsewhere",
            self.resumes.clone(),
        );
        to.register_with_unit(
            "resume_gap",
            "What the client waited for a stream to go on elsewhere",
            Unit::Seconds,
            self.resume_gap.clone(),
        );
        to.register(
            "waiting",
            "Requests that wait for a replica",
            self.waiting.clone(),
        );
        to.register(
            "purse_micros",
            "What a project could reserve at once",
            self.purse.clone(),
        );
        to.register(
            "usage_lost_micros",
            "Usage that control refused",
            self.usage_lost.clone(),
        );
        to.register(
            "control_up",
            "Whether control is connected",
            self.control_up.clone(),
        );
    }

    /// A request ended with this status.
    pub(crate) fn request(&self, of: Option<WorkloadId>, status: u16) {
        let workload = of.map_or_else(|| "none".to_owned(), |id| id.to_string());
        self.requests
            .get_or_create(&ByStatus { workload, status })
            .inc();
    }

    pub(crate) fn billed(&self, of: WorkloadId, prompt: u64, completion: u64) {
        for (kind, count) in [(Kind::Prompt, prompt), (Kind::Completion, completion)] {
            let label = ByKind {
                workload: of.to_string(),
                kind,
            };
            self.tokens.get_or_create(&label).inc_by(count);
        }
    }

    pub(crate) fn first_token(&self, of: WorkloadId, after: Duration) {
        self.first_token
            .get_or_create(&workload(of))
            .observe(after.as_secs_f64());
    }

    pub(crate) fn gap(&self, of: WorkloadId, gap: Duration) {
        self.gap
            .get_or_create(&workload(of))
            .observe(gap.as_secs_f64());
    }

    /// The moves of a stream that has ended.
    pub(crate) fn moves(&self, of: WorkloadId, moves: &[Move]) {
        for gap in moves.iter().filter_map(Move::gap) {
            self.resumes.get_or_create(&workload(of)).inc();
            let gap = Duration::from_millis(gap.as_millis()).as_secs_f64();
            self.resume_gap.get_or_create(&workload(of)).observe(gap);
        }
    }

    pub(crate) fn usage_lost(&self, micros: i64) {
        self.usage_lost.inc_by(micros.unsigned_abs());
    }

    /// Takes the levels that are looked up only when somebody asks.
    pub(crate) fn levels(
        &self,
        waiting: Vec<(WorkloadId, usize)>,
        purses: Vec<(ProjectId, Money)>,
        control_up: bool,
    ) {
        self.control_up.set(control_up.into());
        self.waiting.clear();
        for (of, count) in waiting {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.waiting.get_or_create(&workload(of)).set(count);
        }
        self.purse.clear();
        for (project, available) in purses {
            let label = ByProject {
                project: project.to_string(),
            };
            self.purse.get_or_create(&label).set(available.as_micros());
        }
    }

    /// All of it, as text for a scraper.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String has no error.
        encode(&mut text, &self.registry).unwrap_or_default();
        text
    }
}
