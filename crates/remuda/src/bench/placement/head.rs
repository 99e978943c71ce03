//! The figures that every benchmark of placement begins with.

use hdrhistogram::Histogram;
use serde::Serialize;

/// How large the network was, and how long decisions took.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Head {
    pub(super) bench: &'static str,
    pub(super) gpus: u64,
    pub(super) nodes: usize,
    pub(super) decisions: u64,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    pub(super) p999_us: f64,
    pub(super) max_us: f64,
    pub(super) rss_mib: u64,
    pub(super) load_percent: f64,
}

impl Head {
    /// The times of decisions; the network is still to be told.
    pub(super) fn of(bench: &'static str, times: &Histogram<u64>) -> Self {
        Self {
            bench,
            decisions: times.len(),
            p50_us: micros(times, 0.5),
            p99_us: micros(times, 0.99),
            p999_us: micros(times, 0.999),
            max_us: micros(times, 1.0),
            ..Self::default()
        }
    }

    /// As rows of a table, with what the times are to reach.
    pub(super) fn rows(
        &self,
        decisions: &'static str,
        [p50, p99, p999, max]: [u64; 4],
    ) -> Vec<(&'static str, String)> {
        vec![
            ("GPUs", self.gpus.to_string()),
            ("nodes", self.nodes.to_string()),
            (decisions, self.decisions.to_string()),
            ("half decided within", reach(self.p50_us, p50)),
            ("99 % within", reach(self.p99_us, p99)),
            ("99.9 % within", reach(self.p999_us, p999)),
            ("the slowest", reach(self.max_us, max)),
            ("memory", format!("{} MiB (reach 1,024)", self.rss_mib)),
            ("GPUs in use", format!("{:.1} %", self.load_percent)),
        ]
    }
}

pub(super) fn reach(us: f64, reach: u64) -> String {
    format!("{us} us (reach {reach})")
}

#[expect(clippy::cast_precision_loss, reason = "nanoseconds far below 2^52")]
pub(super) fn micros(times: &Histogram<u64>, quantile: f64) -> f64 {
    (times.value_at_quantile(quantile) as f64 / 10.0).round() / 100.0
}
