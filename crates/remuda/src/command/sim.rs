//! `remuda sim`: a whole network under a virtual clock, and what its tenants got of what they were
//! promised.

mod inputs;
mod page;
mod parts;
mod recorded;
mod report;
mod rows;

use std::path::PathBuf;
use std::time::Instant;

use clap::value_parser;
use remuda_sim::run::{Detection, Inputs, Outcome, Simulation};
use remuda_sim::scenario::{self, Redundancy, Scenario, Shipped};

use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::progress;
use crate::table::Table;
use rows::{Bare, Row, Run};

/// What is printed, as `--help` says it.
const COLUMNS: &str = "\
What is printed of each tier:
  NEEDS          replicas that a service must have up; multi-site has spare ones beside them
  DELIVERED      share of the time in which units were up: of multi-site a unit is the whole
                 service, of other tiers each replica
  COST           what was paid over what NEEDS replicas alone cost on the cheapest nodes anywhere
  UNITS          those that were ever up, of those that were asked for
  MONTHS MISSED  units' months below the promise, of all; CREDITS is what that gives back, in USD
  FAILOVERS      replicas that went elsewhere because their node was gone
  MOVES          replicas that went elsewhere and served all along: drains and repacking
  DOWN FOR       hours in which units were down, all of them together, by what it was for";

/// A whole network under a virtual clock: what fails, and what is delivered of what is promised
///
/// The decisions are those of the real network; nodes, wires and the disk are simulated and fail as
/// the seed says. The same seed, scenario and version give the same run.
#[derive(Debug, clap::Args)]
#[command(after_long_help = COLUMNS)]
pub(crate) struct Args {
    /// What is drawn, is drawn from this
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Run so many seeds, one after another from the first
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = value_parser!(u64).range(1..))]
    seeds: u64,
    /// GPUs of the network; by default what the scenario says
    #[arg(long, value_name = "COUNT")]
    gpus: Option<u64>,
    /// Days to simulate; by default what the scenario says
    #[arg(long, value_name = "COUNT")]
    days: Option<u64>,
    /// GPUs of a mean site; by default what the scenario says
    #[arg(long, value_name = "COUNT")]
    site_gpus: Option<u32>,
    /// What befalls it: one of the shipped ones (`--list`), or a TOML file
    #[arg(long, value_name = "NAME|FILE", default_value = "published")]
    scenario: String,
    /// Who judges nodes, for comparison: `remuda`, `kubernetes` (50 s + 300 s) or `minute`
    #[arg(long, value_name = "WHO", value_parser = detection)]
    detection: Option<Detection>,
    /// Also simulate the same with less redundancy, which takes as long again, and say what redundancy
    /// costs: `no-spare` (what the tier says, and no replica to spare) or `none` (as `standard`,
    /// wherever it is cheapest)
    #[arg(long, value_name = "WHAT", value_parser = redundancy, value_delimiter = ',')]
    against: Vec<Redundancy>,
    /// What sites have to give, tick by tick, plain or gzipped (format of skypilot-org/spot-traces);
    /// each site takes the next file
    #[arg(long, value_name = "FILE")]
    availability: Vec<PathBuf>,
    /// Have the sites stand in the cities of this file (`city,Lat,Long,Population`)
    #[arg(long, value_name = "FILE")]
    cities: Option<PathBuf>,
    /// Have messages between control and nodes take as long as this file says, half of a round trip;
    /// control stands in the largest city [default: as the scenario says]
    ///
    /// Comma-separated, with the columns `from_city`, `to_city_country_continent` and `avg_ms`, and
    /// `min_ms`, `max_ms` and `mdev_ms` if they are there. Between cities that it does not name, a
    /// round trip takes 10 ms, and 1 ms for every 60 km.
    #[arg(long, value_name = "FILE", requires = "cities")]
    rtt: Option<PathBuf>,
    /// Have requests come as this trace has them, plain or gzipped, again and again
    /// (`TIMESTAMP,ContextTokens,GeneratedTokens`, the format of Azure/AzurePublicDataset)
    #[arg(long, value_name = "FILE")]
    requests: Option<PathBuf>,
    /// Gateways that requests come to; by default what the scenario says
    #[arg(long, value_name = "COUNT")]
    gateways: Option<u32>,
    /// Replay the journal of a real network instead: control's data folder, or a copy of it.
    /// Service levels are then as control believed them
    #[arg(long, value_name = "DIR", conflicts_with_all = ["seed", "seeds", "gpus", "days", "site_gpus", "scenario", "detection", "against", "availability", "cities", "rtt", "requests", "gateways"])]
    journal: Option<PathBuf>,
    /// Write a page with plots, of one run
    #[arg(long, value_name = "FILE", conflicts_with = "seeds")]
    report: Option<PathBuf>,
    /// Only list the shipped scenarios
    #[arg(long)]
    list: bool,
}

pub(crate) fn run(args: &Args, context: &Context) -> anyhow::Result<()> {
    if args.list {
        return list(context);
    }
    if let Some(path) = &args.report {
        page::expect(path)?;
    }
    if let Some(dir) = &args.journal {
        return recorded::replay(dir, args, context);
    }
    let last = args.seed.checked_add(args.seeds - 1).ok_or_else(too_many)?;
    let scenario = args.scenario()?;
    let cities = args.cities()?;
    let inputs = Inputs {
        traces: args.traces()?,
        round_trips: args.round_trips(&cities, context)?,
        requests: args.requests(&scenario)?,
        cities,
    };
    for seed in args.seed..=last {
        let start = Instant::now();
        let outcome = simulate(scenario.clone(), seed, &inputs, context)?;
        let took = start.elapsed();
        let against = args.bare(&scenario, seed, &inputs, context)?;
        args.tell((&outcome, &against), &args.scenario, context)?;
        // How long it took is no part of a run: the same seed gives the same run, byte for byte.
        let took = took.as_secs_f64();
        context
            .output
            .note(&format!("simulated in {took:.1} s, seed {seed}"));
    }
    Ok(())
}

fn too_many() -> Failure {
    let message = "--seed and --seeds go beyond the last seed there is";
    Failure::new(Exit::Usage, message, "begin with a smaller seed")
}

fn detection(text: &str) -> Result<Detection, String> {
    match text {
        "remuda" => Ok(Detection::Remuda),
        "kubernetes" => Ok(Detection::Kubernetes),
        "minute" => Ok(Detection::Minute),
        _ => Err("`remuda`, `kubernetes` or `minute` is expected".to_owned()),
    }
}

fn redundancy(text: &str) -> Result<Redundancy, String> {
    let known = [Redundancy::NoSpare, Redundancy::None];
    let found = known.into_iter().find(|known| known.as_str() == text);
    found.ok_or_else(|| "`no-spare` or `none` is expected".to_owned())
}

fn list(context: &Context) -> anyhow::Result<()> {
    let about = |shipped: &Shipped| {
        let read = Scenario::read(shipped.name, shipped.text);
        read.map(|scenario| (shipped.name, scenario.about))
    };
    let all: Result<Vec<_>, _> = scenario::shipped().iter().map(about).collect();
    let all: std::collections::BTreeMap<_, _> = all?.into_iter().collect();
    Ok(context.output.table(&all, |all| {
        let row = |(name, about): (&&str, &String)| [(*name).to_owned(), about.clone()];
        Table::new(["SCENARIO", "ABOUT"]).rows(all.iter().map(row))
    })?)
}

impl Args {
    /// Shows what came of a run, and writes the page if one is wanted.
    fn tell(
        &self,
        (outcome, against): (&Outcome, &[Bare]),
        scenario: &str,
        context: &Context,
    ) -> anyhow::Result<()> {
        let run = Run::of(outcome, scenario);
        let tiers = rows::tiers(outcome, against);
        show((&run, &tiers), outcome, context)?;
        if let Some(path) = &self.report {
            page::write(path, &report::page((&run, &tiers), outcome)?)?;
        }
        Ok(())
    }

    /// The same with less redundancy.
    fn bare(
        &self,
        scenario: &Scenario,
        seed: u64,
        inputs: &Inputs,
        context: &Context,
    ) -> anyhow::Result<Vec<Bare>> {
        let each = self.against.iter().map(|redundancy| {
            let mut scenario = scenario.clone();
            scenario.demand.redundancy = *redundancy;
            Ok((*redundancy, simulate(scenario, seed, inputs, context)?))
        });
        each.collect()
    }
}

fn simulate(
    scenario: Scenario,
    seed: u64,
    inputs: &Inputs,
    context: &Context,
) -> anyhow::Result<Outcome> {
    let bar = progress::count(context.output, "days", scenario.days);
    let simulation = Simulation::new(scenario, seed, inputs.clone())?;
    inputs::fit(inputs, simulation.sites())?;
    let outcome = simulation.run(|day| bar.set_position(day))?;
    bar.finish_and_clear();
    Ok(outcome)
}

fn show((run, tiers): (&Run, &[Row]), outcome: &Outcome, context: &Context) -> anyhow::Result<()> {
    if context.output.is_json() {
        for tier in tiers {
            context.output.item(tier, |_| String::new())?;
        }
        return Ok(context.output.item(run, |_| String::new())?);
    }
    context.output.text(&run.text())?;
    context
        .output
        .text(&Row::table(tiers).render(context.output.has_color()))?;
    if let Some(redundancy) = Row::redundancy(tiers) {
        context
            .output
            .text(&redundancy.render(context.output.has_color()))?;
    }
    let causes = rows::causes(outcome).render(context.output.has_color());
    Ok(context.output.text(&causes)?)
}
