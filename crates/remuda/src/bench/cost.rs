//! `remuda bench cost`: what the world's demand costs under the network's plans, beside the least
//! that it can cost and beside rules of thumb.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::value_parser;
use remuda_sim::cities::{RoundTrips, cities, round_trips};
use remuda_sim::cost::{Ours, Outcome, Scene, Settings, cheapest, nearest};
use remuda_sim::planner::{Cost, Solver, bound};
use serde::Serialize;

use super::usage;
use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::progress;
use crate::strangers;
use crate::table;

/// Cost: the world's demand placed under plans, beside the least that it can cost
///
/// Sites and demand are drawn on the cities of FILE: comma-separated, plain or gzipped, with the
/// columns city, Lat, Long and Population, as in ConsenSys/wittgenstein.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The cities that sites and demand are drawn on
    #[arg(long, value_name = "FILE")]
    cities: PathBuf,
    /// Round trips measured between them [default: 10 ms, and 1 ms for every 60 km]
    ///
    /// Comma-separated, with the columns `from_city`, `to_city_country_continent` and `avg_ms`.
    #[arg(long, value_name = "FILE")]
    rtt: Option<PathBuf>,
    /// Sites of the network
    #[arg(long, value_name = "COUNT", default_value_t = 300, value_parser = value_parser!(u32).range(1..=10_000))]
    sites: u32,
    /// GPUs of the network
    #[arg(long, value_name = "COUNT", default_value_t = 435_000, value_parser = value_parser!(u64).range(10..=10_000_000))]
    gpus: u64,
    /// What the world is drawn from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// By how much the forecast of every class of demand is wrong, up or down
    #[arg(long, value_name = "PERCENT", default_value_t = 20, value_parser = value_parser!(u64).range(0..=100))]
    forecast_error: u64,
    /// How often the plan is made anew as demand shows
    #[arg(long, value_name = "COUNT", default_value_t = 6, value_parser = value_parser!(u64).range(0..=1_000))]
    solves: u64,
}

/// What was measured: how far above the least that anybody could have paid, in percent.
#[derive(Clone, Debug, Serialize)]
struct Figures {
    bench: &'static str,
    over_lp_pct: f64,
    nearest_pct: f64,
    cheapest_pct: f64,
    /// Placement by price and congestion, without a plan.
    congestion_only_pct: f64,
    /// How far above it the network's own plans prove that it is at most.
    certified_gap_pct: f64,
    requests: usize,
    rejected: u64,
    nearest_rejected: u64,
    cheapest_rejected: u64,
    congestion_only_rejected: u64,
    /// What the best of all plans leaves unserved.
    lp_rejected: u64,
    lp_usd_per_h: f64,
    sites: usize,
    gpus: u64,
    classes: usize,
    /// Pairs of class and site that may be.
    pairs: usize,
    forecast_error_pct: u64,
    /// The plan before the first request, and each that was made anew.
    first_solve_s: f64,
    solves_s: Vec<f64>,
    rss_mib: u64,
}

pub(crate) fn run(args: &Args, context: &Context) -> anyhow::Result<()> {
    let cities = cities(&args.cities)?;
    let measured = match &args.rtt {
        Some(file) => round_trips(file, &cities)?,
        None => RoundTrips::default(),
    };
    strangers::tell(&measured, context);
    let settings = Settings {
        sites: args.sites,
        gpus: args.gpus,
        seed: args.seed,
        forecast_error_percent: args.forecast_error,
    };
    let wheel = progress::wheel(context.output, "serving the world");
    let scene = Scene::draw(settings, &cities, &measured).map_err(|error| {
        let way_out = "give more GPUs, or other cities";
        Failure::new(Exit::Usage, "no world can be drawn of this", way_out).caused_by(error)
    })?;
    let figures = measure(&scene, args)?;
    wheel.finish_and_clear();
    Ok(context.output.item(&figures, Figures::text)?)
}

fn measure(scene: &Scene, args: &Args) -> anyhow::Result<Figures> {
    let best = Solver::new().solve(&scene.problem)?;
    let least = bound(&scene.problem, &best.duals);
    let planned: u64 = best
        .quotas
        .iter()
        .map(|quota| quota.gpu_milli / 1_000)
        .sum();
    let (nearest, cheapest, unplanned) = (nearest(scene), cheapest(scene), unplanned(scene));
    let (ours, times) = planned_anew(scene, args.solves)?;
    let above = |outcome: Outcome| percent_above(outcome.cost, least);
    let seconds = |time: &Duration| rounded(time.as_secs_f64(), 1e3);
    Ok(Figures {
        bench: "cost",
        over_lp_pct: above(ours.outcome()),
        nearest_pct: above(nearest),
        cheapest_pct: above(cheapest),
        congestion_only_pct: above(unplanned),
        certified_gap_pct: ours
            .certified_gap()
            .map_or(f64::INFINITY, |gap| percent_above(gap.cost, gap.bound)),
        requests: scene.arrivals.len(),
        rejected: ours.outcome().rejected,
        nearest_rejected: nearest.rejected,
        cheapest_rejected: cheapest.rejected,
        congestion_only_rejected: unplanned.rejected,
        lp_rejected: (scene.arrivals.len() as u64).saturating_sub(planned),
        lp_usd_per_h: rounded(float(least) / 1e9, 1e2),
        sites: scene.sites.len(),
        gpus: args.gpus,
        classes: scene.classes.len(),
        pairs: scene.classes.iter().map(|class| class.sites.len()).sum(),
        forecast_error_pct: args.forecast_error,
        first_solve_s: times.first().map_or(0.0, seconds),
        solves_s: times.iter().skip(1).map(seconds).collect(),
        rss_mib: usage::rss_mib()?,
    })
}

fn unplanned(scene: &Scene) -> Outcome {
    let mut ours = Ours::new(scene);
    ours.serve(1, 1);
    ours.outcome()
}

/// Serves everything, with a plan before the first request and so many on the way; and how long
/// each plan took.
fn planned_anew(scene: &Scene, solves: u64) -> anyhow::Result<(Ours<'_>, Vec<Duration>)> {
    let (mut ours, mut times) = (Ours::new(scene), Vec::new());
    for part in 0..=solves {
        let started = Instant::now();
        ours.plan()?;
        times.push(started.elapsed());
        ours.serve(part + 1, solves + 1);
    }
    Ok((ours, times))
}

/// How far above the least a cost is, in percent, to a thousandth.
fn percent_above(cost: Cost, least: Cost) -> f64 {
    rounded((float(cost) / float(least) - 1.0) * 100.0, 1e3)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a ratio is wanted to a thousandth of a percent"
)]
fn float(cost: Cost) -> f64 {
    cost.nanos() as f64
}

fn rounded(number: f64, steps: f64) -> f64 {
    (number * steps).round() / steps
}

impl Figures {
    fn text(&self) -> String {
        let above = |percent: f64, rejected: u64| {
            format!("+{percent:.2} %, {rejected} of {} refused", self.requests)
        };
        let solves = self.solves_s.iter().copied().fold(0.0, f64::max);
        table::details(&[
            (
                "the least it can cost",
                format!(
                    "{:.2} USD/h, {} refused",
                    self.lp_usd_per_h, self.lp_rejected
                ),
            ),
            (
                "placement under plans",
                above(self.over_lp_pct, self.rejected) + " (reach +1 %)",
            ),
            (
                "of which the network proves itself",
                format!("at most +{:.2} %", self.certified_gap_pct),
            ),
            (
                "by price and congestion",
                above(self.congestion_only_pct, self.congestion_only_rejected),
            ),
            (
                "the cheapest site",
                above(self.cheapest_pct, self.cheapest_rejected),
            ),
            (
                "the nearest site",
                above(self.nearest_pct, self.nearest_rejected),
            ),
            ("sites", self.sites.to_string()),
            ("GPUs", self.gpus.to_string()),
            (
                "classes of demand",
                format!(
                    "{}, forecast wrong by {} %",
                    self.classes, self.forecast_error_pct
                ),
            ),
            ("the first plan", format!("{:.3} s", self.first_solve_s)),
            ("the slowest of those made anew", format!("{solves:.3} s")),
            ("memory", format!("{} MiB", self.rss_mib)),
        ])
    }
}
