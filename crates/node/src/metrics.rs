//! What the machine's owner can watch. GPUs appear under the names of NVIDIA's DCGM exporter, so
//! that dashboards made for it work.

use std::fmt;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use remuda_assignment::State;

use crate::inventory::nvidia::{Gpus, Reading};
use crate::view::View;

/// The node's counters and gauges.
pub(crate) struct Metrics {
    registry: Registry,
    session_up: Gauge,
    sessions: Counter,
    requests: Family<Outcome, Counter>,
    bytes: Family<Passed, Counter>,
    streams: Gauge,
    replicas: Family<InState, Gauge>,
    gpus: GpuGauges,
}

/// Which way bytes passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum Direction {
    /// From gateways to engines.
    ToEngine,
    /// From engines to gateways.
    FromEngine,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Passed {
    direction: Direction,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    admitted: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InState {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
#[expect(non_snake_case, reason = "the labels of the DCGM exporter")]
struct OfGpu {
    gpu: u32,
    UUID: String,
    modelName: String,
}

type GpuGauge = Family<OfGpu, Gauge<f64, AtomicU64>>;

/// One gauge for each field of the DCGM exporter that is kept.
#[derive(Default)]
struct GpuGauges {
    utilization: GpuGauge,
    memory_used_mib: GpuGauge,
    temperature: GpuGauge,
    power: GpuGauge,
    xid: GpuGauge,
}

const STATES: [&str; 8] = [
    "preparing",
    "prepared",
    "starting",
    "ready",
    "unhealthy",
    "draining",
    "stopping",
    "ended",
];

impl Metrics {
    /// All at zero.
    pub(crate) fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            session_up: Gauge::default(),
            sessions: Counter::default(),
            requests: Family::default(),
            bytes: Family::default(),
            streams: Gauge::default(),
            replicas: Family::default(),
            gpus: GpuGauges::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let Self { registry, gpus, .. } = self;
        let node = registry.sub_registry_with_prefix("remuda_node");
        node.register(
            "session_up",
            "Whether control is connected",
            self.session_up.clone(),
        );
        node.register(
            "sessions",
            "Sessions with control since the start",
            self.sessions.clone(),
        );
        node.register("requests", "Requests of gateways", self.requests.clone());
        node.register(
            "bytes",
            "Bytes passed between gateways and engines",
            self.bytes.clone(),
        );
        node.register(
            "requests_in_flight",
            "Requests in flight",
            self.streams.clone(),
        );
        node.register("replicas", "Replicas by state", self.replicas.clone());
        gpus.register(registry);
    }

    /// A session began or ended.
    pub(crate) fn session(&self, up: bool) {
        self.session_up.set(i64::from(up));
        if up {
            self.sessions.inc();
        }
    }

    /// A gateway asked.
    pub(crate) fn request(&self, admitted: bool) {
        self.requests.get_or_create(&Outcome { admitted }).inc();
    }

    /// Bytes were passed on.
    pub(crate) fn passed(&self, direction: Direction, count: usize) {
        self.bytes
            .get_or_create(&Passed { direction })
            .inc_by(count as u64);
    }

    /// The text that Prometheus scrapes.
    pub(crate) fn scrape(&self, view: &View, gpus: Option<&Gpus>) -> Result<String, fmt::Error> {
        self.count(view);
        gpus.iter()
            .flat_map(|gpus| gpus.read())
            .for_each(|reading| self.gpus.set(&reading));
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }

    fn count(&self, view: &View) {
        for state in STATES {
            let count = view
                .replicas
                .iter()
                .filter(|seen| name(seen.state) == state)
                .count();
            let gauge = self.replicas.get_or_create(&InState { state });
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        let in_flight: usize = view
            .replicas
            .iter()
            .map(|seen| *seen.route.streams.borrow())
            .sum();
        self.streams
            .set(i64::try_from(in_flight).unwrap_or(i64::MAX));
    }
}

impl GpuGauges {
    fn register(&self, registry: &mut Registry) {
        let fields = [
            (
                "DCGM_FI_DEV_GPU_UTIL",
                "GPU utilization (in %)",
                &self.utilization,
            ),
            (
                "DCGM_FI_DEV_FB_USED",
                "Framebuffer memory used (in MiB)",
                &self.memory_used_mib,
            ),
            (
                "DCGM_FI_DEV_GPU_TEMP",
                "GPU temperature (in C)",
                &self.temperature,
            ),
            ("DCGM_FI_DEV_POWER_USAGE", "Power draw (in W)", &self.power),
            (
                "DCGM_FI_DEV_XID_ERRORS",
                "Value of the last XID error encountered",
                &self.xid,
            ),
        ];
        for (name, help, gauge) in fields {
            registry.register(name, help, gauge.clone());
        }
    }

    fn set(&self, reading: &Reading) {
        let values = [
            (&self.utilization, reading.utilization),
            (&self.memory_used_mib, reading.memory_used_mib),
            (&self.temperature, reading.temperature),
            (&self.power, reading.power),
            (&self.xid, Some(reading.xid)),
        ];
        let labels = OfGpu {
            gpu: reading.index,
            UUID: reading.uuid.clone(),
            modelName: reading.name.clone(),
        };
        for (gauge, value) in values {
            if let Some(value) = value {
                gauge.get_or_create(&labels).set(value);
            }
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

const fn name(state: State) -> &'static str {
    match state {
        State::Preparing => STATES[0],
        State::Prepared => STATES[1],
        State::Starting => STATES[2],
        State::Ready => STATES[3],
        State::Unhealthy => STATES[4],
        State::Draining => STATES[5],
        State::Stopping => STATES[6],
        State::Ended(_) => STATES[7],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gpus_appear_as_the_dcgm_exporter_names_them() {
        let metrics = Metrics::new();
        metrics.gpus.set(&Reading {
            uuid: "GPU-1".to_owned(),
            name: "NVIDIA L4".to_owned(),
            power: Some(71.5),
            xid: 79.0,
            ..Reading::default()
        });
        metrics.passed(Direction::FromEngine, 9);
        let text = metrics.scrape(&View::default(), None).unwrap();
        let labels = r#"{gpu="0",UUID="GPU-1",modelName="NVIDIA L4"}"#;
        for line in [
            format!("DCGM_FI_DEV_POWER_USAGE{labels} 71.5"),
            format!("DCGM_FI_DEV_XID_ERRORS{labels} 79.0"),
            r#"remuda_node_replicas{state="ready"} 0"#.to_owned(),
            r#"remuda_node_bytes_total{direction="FromEngine"} 9"#.to_owned(),
        ] {
            assert!(text.contains(&line), "{line} in\n{text}");
        }
        assert!(
            !text.contains("DCGM_FI_DEV_GPU_TEMP{"),
            "what is not known is absent"
        );
    }
}
