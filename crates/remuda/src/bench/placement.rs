//! `remuda bench placement`: how long placement takes in a network of the size of the world.
//!
//! The network is made up from a seed and filled; then replicas leave at random as others come.
//! Each decision is timed by itself: the search for a node and the hold on it. Plans are made
//! between decisions, as in production, where they are made off the path.

mod durable;
mod head;
mod trial;

use std::path::PathBuf;

use clap::{ValueEnum, value_parser};
use remuda_sim::world::Nodes;
use serde::Serialize;

use super::usage;
use crate::context::Context;
use crate::progress;
use crate::table;
use head::{Head, micros, reach};
use trial::Timekeeper;

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
    /// How alike the nodes of a rack are
    #[arg(long, value_enum, default_value_t = Likeness::Alike)]
    nodes: Likeness,
    /// What the world is drawn from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Make the placements durable: commands decided by the whole network, in a journal written there
    ///
    /// One in twenty then has a shape that was never seen before, unless --unseen-per-mille says otherwise.
    #[arg(long, value_name = "DIR")]
    durable: Option<PathBuf>,
}

/// How alike the nodes of a rack are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Likeness {
    /// They have the same
    Alike,
    /// Each reports its own memory and free disk
    Reporting,
    /// Each has its own price as well
    Priced,
}

impl From<Likeness> for Nodes {
    fn from(likeness: Likeness) -> Self {
        match likeness {
            Likeness::Alike => Self::Alike,
            Likeness::Reporting => Self::Reporting,
            Likeness::Priced => Self::Priced,
        }
    }
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
struct Figures {
    #[serde(flatten)]
    head: Head,
    decisions_per_s: u64,
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
    let unseen = args.unseen_per_mille.unwrap_or(0);
    let mut run = Timekeeper::new((args.seed, args.gpus), args.nodes.into(), unseen)?;
    let filled = run.fill(args.load)?;
    let gang = run.gang()?;
    let churned = run.churn(args.load, args.decisions)?;
    let head = Head {
        gpus: run.trial.gpus(),
        nodes: run.trial.nodes(),
        load_percent: run.load_percent(),
        rss_mib: usage::rss_mib()?,
        ..Head::of("placement", &churned.times)
    };
    let exit = run.site_exit()?;
    wheel.finish_and_clear();
    let figures = Figures {
        head,
        decisions_per_s: churned.per_second(),
        unplaced: churned.unplaced,
        fill_p50_us: micros(&filled.times, 0.5),
        fill_p99_us: micros(&filled.times, 0.99),
        fill_max_us: micros(&filled.times, 1.0),
        gang_1024_us: gang.map(|span| span.as_secs_f64() * 1e6),
        site_exit_ms: exit.span.as_secs_f64() * 1e3,
        site_exit_replicas: exit.replicas,
        plan_ms: run.slowest_plan.as_secs_f64() * 1e3,
    };
    Ok(context.output.item(&figures, Figures::text)?)
}

impl Figures {
    fn text(&self) -> String {
        let mut rows = self.head.rows("decisions", [2, 50, 500, 5_000]);
        rows.extend([
            ("decisions per second", self.decisions_per_s.to_string()),
            ("without a place", self.unplaced.to_string()),
            (
                "a gang of 1,024 GPUs on one fabric",
                self.gang_1024_us
                    .map_or("no place".to_owned(), |us| reach(us.round(), 1_000)),
            ),
            (
                "a mean site placed elsewhere",
                format!(
                    "{:.1} ms for {} replicas (reach 50)",
                    self.site_exit_ms, self.site_exit_replicas
                ),
            ),
            ("a plan, off the path", format!("{:.0} ms", self.plan_ms)),
        ]);
        table::details(&rows)
    }
}
