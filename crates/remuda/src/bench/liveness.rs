//! `remuda bench liveness`: what watching nodes costs, and how well it is done.
//!
//! Three parts, each as close to production as it can be measured. The detector that control runs
//! digests the reports of all nodes on one core, under a virtual clock. The same detector watches
//! nodes that report over a wire that loses, for days of that clock, while some of them die. And a
//! control that really runs holds sessions with nodes that report over iroh.

mod herd;
mod node;
mod sessions;

use std::path::PathBuf;

use clap::value_parser;
use remuda_sim::liveness::{Digest, Digested, Outcome, Policy, Scene};
use remuda_types::Span;
use serde::Serialize;

use super::usage::{self, rate};
use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::progress;
use crate::table;
use sessions::Held;

/// Reports of each node that are digested before the clock starts.
const WARM_UP: u32 = 3;
/// Reports of all nodes that are digested while it runs.
const MEASURED: u32 = 10_000_000;
/// Nodes of the simulation.
const WATCHED: u32 = 1_000;
/// Ticks of control's come so late at most.
const TICK_LATE: Span = Span::from_millis(5);

/// Liveness: reports digested, dead nodes found, and what sessions cost
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Nodes whose reports are digested on one core
    #[arg(long, value_name = "COUNT", default_value_t = 54_400, value_parser = value_parser!(u32).range(1..=10_000_000))]
    nodes: u32,
    /// Sessions to hold with a control that really runs
    #[arg(long, value_name = "COUNT", default_value_t = 500, value_parser = value_parser!(u32).range(1..=5_000))]
    sessions: u32,
    /// How long to measure without and with the sessions
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Messages lost on each leg of their way, in percent: reports, probes and answers
    #[arg(long, value_name = "PERCENT", default_value_t = 1.0, value_parser = percent)]
    loss: f64,
    /// Hours that 1,000 nodes are watched in simulation
    #[arg(long, value_name = "HOURS", default_value_t = 96, value_parser = value_parser!(u64).range(1..=8_760))]
    hours: u64,
    /// Nodes that die meanwhile
    #[arg(long, value_name = "COUNT", default_value_t = 10_000)]
    deaths: u64,
    /// What all chance is drawn from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The first of control's ports
    #[arg(long, value_name = "PORT", default_value_t = 17_600, value_parser = value_parser!(u16).range(1_024..=65_000))]
    port_base: u16,
    /// Where control keeps its data; removed afterwards [default: the data folder]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
struct Figures {
    bench: &'static str,
    nodes: u32,
    reports_per_s: u64,
    sessions: u32,
    cpu_us_per_session_s: f64,
    /// Cores that control would need for the sessions of so many nodes.
    cores_for_nodes: f64,
    /// Of control without a session, each second.
    cpu_us_idle_s: f64,
    reports_per_session_s: f64,
    detect_p50_ms: Option<u64>,
    detect_p99_ms: Option<u64>,
    detect_max_ms: Option<u64>,
    deaths: u64,
    deaths_missed: u64,
    false_alarms_per_day_per_1000: f64,
    /// More than so many there are not, with a certainty of 95 %.
    false_alarms_per_day_per_1000_at_most: f64,
    suspicions_per_day_per_1000: f64,
    loss_percent: f64,
    simulated_hours: u64,
}

pub(crate) async fn run(args: Args, context: &Context) -> anyhow::Result<()> {
    let scene = scene(&args)?;
    let wheel = progress::wheel(context.output, "digesting reports");
    let reports_per_s = digest(&args)?;
    wheel.set_message("watching nodes in simulation");
    let watched = remuda_sim::liveness::run(&scene)?;
    wheel.set_message("holding sessions");
    let held = sessions::measure(&args, context).await?;
    wheel.finish_and_clear();
    let figures = Figures::of(&args, reports_per_s, &watched, &held);
    Ok(context.output.item(&figures, Figures::text)?)
}

/// Reports that one core digests in a second of its time.
fn digest(args: &Args) -> anyhow::Result<u64> {
    let mut digest = Digest::new(args.seed, args.nodes, Policy::default());
    let intervals = (MEASURED / args.nodes).max(1);
    let warming = digest.run(WARM_UP);
    let before = usage::cpu()?;
    let measured = digest.run(intervals);
    let took = usage::cpu()?.saturating_sub(before);
    for Digested { doubted, .. } in [warming, measured] {
        anyhow::ensure!(doubted == 0, "{doubted} nodes were doubted that reported");
    }
    Ok(rate(measured.reports, took))
}

/// What is watched in simulation, if it can be played.
fn scene(args: &Args) -> Result<Scene, Failure> {
    let scene = Scene {
        seed: args.seed,
        nodes: WATCHED,
        lasts: Span::from_secs(args.hours * 3_600),
        loss: args.loss / 100.0,
        deaths: args.deaths,
        gateways: 1,
        tick_late: TICK_LATE,
        policy: Policy::default(),
    };
    let playable = scene.check().map(|()| scene);
    playable.map_err(|error| {
        let way_out = "name fewer with --deaths, or more with --hours";
        Failure::new(Exit::Usage, error.to_string(), way_out)
    })
}

/// A share of a hundred.
fn percent(text: &str) -> Result<f64, String> {
    let number = text.parse().ok();
    let within = number.filter(|percent| (0.0..=100.0).contains(percent));
    within.ok_or_else(|| "a number from 0 to 100 is expected".to_owned())
}

impl Figures {
    fn of(args: &Args, reports_per_s: u64, watched: &Outcome, held: &Held) -> Self {
        let within = |part| watched.detected_within(part).map(Span::as_millis);
        let cost = held.cpu_us_per_session_s();
        Self {
            bench: "liveness",
            nodes: args.nodes,
            reports_per_s,
            sessions: args.sessions,
            cpu_us_per_session_s: rounded(cost),
            cores_for_nodes: rounded(cost * f64::from(args.nodes) / 1e6),
            cpu_us_idle_s: rounded(held.cpu_us_idle_s()),
            reports_per_session_s: rounded(held.reports_per_session_s()),
            detect_p50_ms: within(0.5),
            detect_p99_ms: within(0.99),
            detect_max_ms: within(1.0),
            deaths: args.deaths,
            deaths_missed: watched.missed,
            false_alarms_per_day_per_1000: rounded(watched.per_day_per_1000(watched.false_alarms)),
            false_alarms_per_day_per_1000_at_most: rounded(
                watched.at_most_per_day_per_1000(watched.false_alarms),
            ),
            suspicions_per_day_per_1000: rounded(watched.per_day_per_1000(watched.suspicions)),
            loss_percent: args.loss,
            simulated_hours: args.hours,
        }
    }

    fn text(&self) -> String {
        let ms = |found: Option<u64>| found.map_or("none".to_owned(), |ms| format!("{ms} ms"));
        table::details(&[
            ("nodes", self.nodes.to_string()),
            (
                "reports digested by one core",
                format!(
                    "{} a second (reach 1,000,000; k8s-1m 100,000, etcd 50,000, GKE 13,000)",
                    self.reports_per_s
                ),
            ),
            (
                "sessions with a control that runs",
                format!(
                    "{}, each with {:.2} reports a second",
                    self.sessions, self.reports_per_session_s
                ),
            ),
            (
                "a session costs control",
                format!("{} us of CPU a second", self.cpu_us_per_session_s),
            ),
            (
                "as many as there are nodes",
                format!("{} cores", self.cores_for_nodes),
            ),
            (
                "control without a session",
                format!("{} us of CPU a second", self.cpu_us_idle_s),
            ),
            (
                "simulated",
                format!(
                    "{WATCHED} nodes, {} hours, {} deaths, {} % loss",
                    self.simulated_hours, self.deaths, self.loss_percent
                ),
            ),
            ("half of the dead found within", ms(self.detect_p50_ms)),
            (
                "99 % of them",
                format!(
                    "{} (reach 3,000; Kubernetes 50,000, Nosana and Aethir 60,000)",
                    ms(self.detect_p99_ms)
                ),
            ),
            ("the last", ms(self.detect_max_ms)),
            ("never found", self.deaths_missed.to_string()),
            (
                "false alarms a day of 1,000 nodes",
                format!(
                    "{} (at most {} with 95 % certainty; reach 1; three missed reports alone: 86)",
                    self.false_alarms_per_day_per_1000, self.false_alarms_per_day_per_1000_at_most
                ),
            ),
            (
                "suspicions a day of 1,000 nodes",
                self.suspicions_per_day_per_1000.to_string(),
            ),
        ])
    }
}

/// Three digits after the point are more than a measurement has.
fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_is_a_number_from_0_to_100() {
        for (text, number) in [("0", 0.0), ("0.5", 0.5), ("100", 100.0)] {
            assert_eq!(percent(text), Ok(number));
        }
        for text in ["101", "-1", "NaN", "inf", "", "1 %"] {
            assert!(percent(text).is_err(), "{text}");
        }
    }
}
