//! `remuda bench correlation`: what it is worth to know which sites fail together.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::value_parser;
use remuda_control::network::Policy;
use remuda_control::network::placement::{Replicas, Rule};
use remuda_sim::availability::Availability;
use remuda_sim::correlation::{Drawn, DrawnRecord, Judged, Record, Trial};
use remuda_types::Span;
use serde::Serialize;

use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::progress;
use crate::table::Table;

/// Pairs of sites, each once.
type Pairs = BTreeSet<(usize, usize)>;

/// How many replicas are placed.
const REPLICAS: [u32; 2] = [2, 3];

/// Correlation: replicas kept off sites that fail together, learned on one half of a record and
/// judged on the other
///
/// Each FILE says when one site had something to give, in the format of skypilot-org/spot-traces.
/// Without any, two years of 60 sites are drawn that share a fate by fives, and nobody says which.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What a site had to give, tick by tick; one file for each site
    #[arg(long, value_name = "FILE", num_args = 1..)]
    availability: Vec<PathBuf>,
    /// Outages that begin within this of each other are joint [default: the policy's 10m, or from
    /// one tick to the next where that is longer]
    #[arg(long, value_name = "LENGTH", value_parser = humantime::parse_duration)]
    window: Option<Duration>,
    /// How often replicas are placed, at prices that are drawn anew
    #[arg(long, value_name = "COUNT", default_value_t = 10_000, value_parser = value_parser!(u32).range(1..=1_000_000))]
    draws: u32,
    /// What prices, and sites without files, are drawn from
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// What was measured, of so many replicas: for how much of the unseen half all were down at once.
#[derive(Clone, Debug, Serialize)]
struct Figures {
    bench: &'static str,
    replicas: u32,
    /// Placed by price alone.
    blind: f64,
    /// Placed away from sites that were found to fail together.
    learned: f64,
    /// What the same sites as `blind` would have had if they failed independently.
    independent: f64,
    /// The same of those of `learned`.
    learned_independent: f64,
    sites: usize,
    days: f64,
    window_s: u64,
    outages_learned_from: usize,
    /// Pairs of sites that were found to fail together.
    kin: usize,
    /// Pairs that do, and of these found; where it is known because they were drawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    kin_drawn: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kin_found: Option<usize>,
}

pub(crate) fn run(args: &Args, context: &Context) -> anyhow::Result<()> {
    let (traces, drawn) = args.traces()?;
    let record = Record::of(&traces).map_err(|error| {
        let way_out = "name more or longer traces, or none to have some drawn";
        Failure::new(Exit::Usage, "the traces cannot be compared", way_out).caused_by(error)
    })?;
    let wheel = progress::wheel(context.output, "placing replicas");
    let rule = args.rule(&record);
    let trial = Trial::new(record, &rule);
    if trial.outages() == 0 {
        return Err(nothing_to_learn(trial.record()).into());
    }
    let mut all = Vec::new();
    for replicas in REPLICAS {
        if let Some(judged) = trial.judge(Replicas::new(replicas)?, args.draws, args.seed) {
            all.push(figures(replicas, &trial, judged, &rule, drawn.as_ref()));
        }
    }
    wheel.finish_and_clear();
    if !context.output.is_json() {
        return Ok(context.output.table(&all, |all| table(all))?);
    }
    for figures in &all {
        context.output.item(figures, |_| String::new())?;
    }
    Ok(())
}

impl Args {
    /// The traces; and which sites fail together, where they are drawn.
    fn traces(&self) -> Result<(Vec<Availability>, Option<Pairs>), Failure> {
        if self.availability.is_empty() {
            let drawn = Drawn {
                seed: self.seed,
                ..Drawn::default()
            };
            let DrawnRecord { traces, kin } = drawn.draw();
            return Ok((traces, Some(kin)));
        }
        let traces: Result<_, _> = self.availability.iter().map(|path| read(path)).collect();
        Ok((traces?, None))
    }

    fn rule(&self, record: &Record) -> Rule {
        let rule = Policy::default().kin.rule();
        let millis = |window: Duration| u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        let wanted = self.window.map(|window| Span::from_millis(millis(window)));
        Rule {
            window: wanted.unwrap_or_else(|| rule.window.max(record.gap())),
            ..rule
        }
    }
}

fn read(path: &Path) -> Result<Availability, Failure> {
    Availability::open(path).map_err(|error| {
        let way_out = "the format is that of skypilot-org/spot-traces";
        let message = "the availability trace cannot be used";
        Failure::new(Exit::Usage, message, way_out).caused_by(error)
    })
}

/// Where nothing was down there is nothing to learn.
fn nothing_to_learn(record: &Record) -> Failure {
    let (days, sites) = (days(record.length()) / 2.0, record.sites());
    let message = format!(
        "the traces have nothing to learn from: in their first half, {days:.2} days, no outage begins at any of the {sites} sites"
    );
    let way_out = "name longer traces: one outage in the first half is the least, hundreds are needed to \
                   tell who fails together";
    Failure::new(Exit::Usage, message, way_out)
}

fn figures(
    replicas: u32,
    trial: &Trial,
    judged: Judged,
    rule: &Rule,
    drawn: Option<&Pairs>,
) -> Figures {
    let (record, kin) = (trial.record(), trial.kin());
    Figures {
        bench: "correlation",
        replicas,
        blind: judged.blind,
        learned: judged.learned,
        independent: judged.independent,
        learned_independent: judged.learned_independent,
        sites: record.sites(),
        days: days(record.length()),
        window_s: rule.window.as_millis() / 1_000,
        outages_learned_from: trial.outages(),
        kin: kin.len(),
        kin_drawn: drawn.map(BTreeSet::len),
        kin_found: drawn.map(|drawn| drawn.intersection(kin).count()),
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds of years, far below 2^52"
)]
fn days(span: Span) -> f64 {
    span.as_millis() as f64 / 86_400_000.0
}

fn table(all: &[Figures]) -> Table {
    let rows = all.iter().map(|of| {
        let share = |share: f64| format!("{share:.2e}");
        [
            of.replicas.to_string(),
            share(of.blind),
            share(of.learned),
            share(of.independent),
            of.kin.to_string(),
            of.kin_found
                .zip(of.kin_drawn)
                .map_or("-".to_owned(), |(found, drawn)| {
                    format!("{found} of {drawn}")
                }),
        ]
    });
    let headers = [
        "REPLICAS",
        "ALL DOWN, BLIND",
        "LEARNED",
        "INDEPENDENT",
        "PAIRS BELIEVED",
        "OF THOSE DRAWN",
    ];
    Table::new(headers).rows(rows)
}
