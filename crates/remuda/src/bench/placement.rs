//! `remuda bench placement`: how long placement takes in a network of the size of the world.
//!
//! The network is made up from a seed and filled; then replicas leave at random as others come.
//! Each decision is timed by itself: the search for a node and the hold on it. Plans are made
//! between decisions, as in production, where they are made off the path.

mod durable;
mod trial;

use std::path::PathBuf;

use clap::value_parser;
use hdrhistogram::Histogram;
use serde::Serialize;

use super::usage;
use crate::context::Context;
use crate::progress;
use crate::table;
use trial::Trial;

/// Placement: decisions in a network of the size of the world, each timed
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// GPUs of the network
    #[arg(long, value_name = "COUNT", default_value_t = 435_000, value_parser = value_parser!(u64).range(1..=10_000_000))]
    gpus: u64,
    /// Decisions to time once the network is full
    #[arg(long, value_name = "COUNT", default_value_t = 1_000_000, value_parser = value_parser!(u64).range(1..=1_000_000_000))]
    decisions: u64,
    /// How full it is kept, in percent of its GPUs
    #[arg(long, value_name = "PERCENT", default_value_t = 90, value_parser = value_parser!(u64).range(1..=99))]
    load: u64,
    /// Of a thousand requests, so many have a shape that was never seen before
    #[arg(long, value_name = "COUNT", value_parser = value_parser!(u32).range(0..=1_000))]
    unseen_per_mille: Option<u32>,
    /// What the world is drawn from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Make the placements durable: commands decided by the whole network, in a journal written there
    ///
    /// One in twenty then has a shape that was never seen before, unless --unseen-per-mille says otherwise.
    #[arg(long, value_name = "DIR")]
    durable: Option<PathBuf>,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
struct Figures {
    bench: &'static str,
    gpus: u64,
    nodes: usize,
    decisions: u64,
    p50_us: f64,
    p99_us: f64,
    p999_us: f64,
    max_us: f64,
    decisions_per_s: u64,
    rss_mib: u64,
    load_percent: f64,
    unplaced: u64,
    /// Of the decisions that filled the network.
    fill_p50_us: f64,
    fill_p99_us: f64,
    fill_max_us: f64,
    /// A gang of 1,024 GPUs on one fabric, on the network as full as it was kept.
    gang_1024_us: Option<f64>,
    /// All replicas of a mean site placed elsewhere, and how many they were.
    site_exit_ms: f64,
    site_exit_replicas: usize,
    plan_ms: f64,
}

pub(crate) fn run(args: &Args, context: &Context) -> anyhow::Result<()> {
    match &args.durable {
        Some(dir) => durable::run(args, dir, context),
        None => in_memory(args, context),
    }
}

fn in_memory(args: &Args, context: &Context) -> anyhow::Result<()> {
    let wheel = progress::wheel(context.output, "placing replicas");
    let mut trial = Trial::new(args.seed, args.gpus, args.unseen_per_mille.unwrap_or(0))?;
    let filled = trial.fill(args.load)?;
    let gang = trial.gang();
    let churned = trial.churn(args.load, args.decisions)?;
    let load_percent = trial.load_percent();
    let exit = trial.site_exit()?;
    wheel.finish_and_clear();
    let figures = Figures {
        bench: "placement",
        gpus: trial.gpus(),
        nodes: trial.nodes(),
        decisions: churned.times.len(),
        p50_us: micros(&churned.times, 0.5),
        p99_us: micros(&churned.times, 0.99),
        p999_us: micros(&churned.times, 0.999),
        max_us: micros(&churned.times, 1.0),
        decisions_per_s: churned.per_second(),
        rss_mib: usage::rss_mib()?,
        load_percent,
        unplaced: churned.unplaced,
        fill_p50_us: micros(&filled.times, 0.5),
        fill_p99_us: micros(&filled.times, 0.99),
        fill_max_us: micros(&filled.times, 1.0),
        gang_1024_us: gang.map(|span| span.as_secs_f64() * 1e6),
        site_exit_ms: exit.span.as_secs_f64() * 1e3,
        site_exit_replicas: exit.replicas,
        plan_ms: trial.slowest_plan.as_secs_f64() * 1e3,
    };
    Ok(context.output.item(&figures, Figures::text)?)
}

#[expect(clippy::cast_precision_loss, reason = "nanoseconds far below 2^52")]
fn micros(times: &Histogram<u64>, quantile: f64) -> f64 {
    (times.value_at_quantile(quantile) as f64 / 10.0).round() / 100.0
}

impl Figures {
    fn text(&self) -> String {
        let reach = |value: f64, unit: &str, reach: &str| format!("{value} {unit} (reach {reach})");
        table::details(&[
            ("GPUs", self.gpus.to_string()),
            ("nodes", self.nodes.to_string()),
            ("decisions", self.decisions.to_string()),
            ("half of them within", reach(self.p50_us, "us", "2")),
            ("99 % within", reach(self.p99_us, "us", "50")),
            ("99.9 % within", reach(self.p999_us, "us", "500")),
            ("the slowest", reach(self.max_us, "us", "5,000")),
            ("decisions per second", self.decisions_per_s.to_string()),
            ("memory", format!("{} MiB (reach 1,024)", self.rss_mib)),
            ("GPUs in use", format!("{:.1} %", self.load_percent)),
            ("without a place", self.unplaced.to_string()),
            (
                "a gang of 1,024 GPUs on one fabric",
                self.gang_1024_us
                    .map_or("no place".to_owned(), |us| reach(us.round(), "us", "1,000")),
            ),
            (
                "a mean site placed elsewhere",
                format!(
                    "{:.1} ms for {} replicas (reach 50)",
                    self.site_exit_ms, self.site_exit_replicas
                ),
            ),
            ("a plan, off the path", format!("{:.0} ms", self.plan_ms)),
        ])
    }
}
