//! `remuda sim`: a whole network under a virtual clock, and what its tenants got of what they were
//! promised.

mod parts;
mod report;
mod rows;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::value_parser;
use remuda_control::core::recover;
use remuda_journal::{Reader, Seq};
use remuda_sim::availability::Availability;
use remuda_sim::cities::{City, RoundTrips, cities, round_trips};
use remuda_sim::file::ReadError;
use remuda_sim::requests::{Requests, requests};
use remuda_sim::run::{Detection, Inputs, Outcome, Replay, Simulation};
use remuda_sim::scenario::{self, Redundancy, Scenario, Shipped};

use super::audit::unopened;
use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::progress;
use crate::strangers;
use crate::table::Table;
use rows::{Bare, Row, Run};

/// A whole network under a virtual clock: what fails, and what is delivered of what is promised
///
/// The decisions are those of the real network; nodes, wires and the disk are simulated and fail as
/// the seed says. The same seed, scenario and version give the same run.
#[derive(Debug, clap::Args)]
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
    /// What sites have to give, tick by tick (format of skypilot-org/spot-traces); each site takes
    /// the next file
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
    if let Some(dir) = &args.journal {
        return replay(dir, args, context);
    }
    let scenario = args.scenario()?;
    let cities = args.cities()?;
    let inputs = Inputs {
        traces: args.traces()?,
        round_trips: args.round_trips(&cities, context)?,
        requests: args.requests(&scenario)?,
        cities,
    };
    for number in 0..args.seeds {
        let seed = args.seed.checked_add(number).ok_or_else(too_many)?;
        let start = Instant::now();
        let outcome = simulate(scenario.clone(), seed, &inputs, context)?;
        let wall = start.elapsed();
        let against = args.bare(&scenario, seed, &inputs, context)?;
        args.tell((&outcome, &against), &args.scenario, wall, context)?;
    }
    Ok(())
}

/// The journal's records, one after another, through the network.
fn replay(dir: &Path, args: &Args, context: &Context) -> anyhow::Result<()> {
    let start = Instant::now();
    let reader = Reader::open(dir).map_err(unopened)?;
    let wheel = progress::wheel(context.output, "replaying the journal");
    let mut replay = Replay::new();
    for batch in reader.batches(Seq::NONE.next())? {
        for record in batch?.records {
            let events = recover::decode(&record)?;
            replay.feed(record.at, record.command, &events)?;
        }
    }
    let outcome = replay.finish("a recorded history, as control believed it")?;
    wheel.finish_and_clear();
    let name = dir.display().to_string();
    args.tell((&outcome, &[]), &name, start.elapsed(), context)
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
    fn scenario(&self) -> Result<Scenario, Failure> {
        let found = scenario::shipped()
            .iter()
            .find(|shipped| shipped.name == self.scenario);
        let mut scenario = match found {
            Some(Shipped { name, text }) => read(name, text)?,
            None => read(&self.scenario, &self.file()?)?,
        };
        scenario.gpus = self.gpus.unwrap_or(scenario.gpus);
        scenario.days = self.days.unwrap_or(scenario.days);
        scenario.site_gpus = self.site_gpus.unwrap_or(scenario.site_gpus);
        scenario.gateways.count = self.gateways.unwrap_or(scenario.gateways.count);
        scenario.detection = self.detection.unwrap_or(scenario.detection);
        scenario.checked().map_err(unusable)
    }

    /// Shows what came of a run, and writes the page if one is wanted.
    fn tell(
        &self,
        (outcome, against): (&Outcome, &[Bare]),
        scenario: &str,
        wall: Duration,
        context: &Context,
    ) -> anyhow::Result<()> {
        let run = Run::of(outcome, scenario, wall);
        let tiers = rows::tiers(outcome, against);
        show((&run, &tiers), outcome, context)?;
        if let Some(path) = &self.report {
            write(path, &report::page((&run, &tiers), outcome)?)?;
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

    fn file(&self) -> Result<String, Failure> {
        fs::read_to_string(&self.scenario).map_err(|error| {
            let names: Vec<_> = scenario::shipped()
                .iter()
                .map(|shipped| shipped.name)
                .collect();
            let way_out = format!("give a TOML file, or one of {}", names.join(", "));
            let message = format!(
                "`{}` is no shipped scenario and cannot be read",
                self.scenario
            );
            Failure::new(Exit::Usage, message, way_out).caused_by(error)
        })
    }

    fn cities(&self) -> Result<Vec<City>, ReadError> {
        let read = self.cities.as_deref().map(cities);
        Ok(read.transpose()?.unwrap_or_default())
    }

    fn round_trips(
        &self,
        cities: &[City],
        context: &Context,
    ) -> Result<Option<RoundTrips>, ReadError> {
        let Some(path) = &self.rtt else {
            return Ok(None);
        };
        let found = round_trips(path, cities)?;
        strangers::tell(&found, context);
        Ok(Some(found))
    }

    fn requests(&self, scenario: &Scenario) -> anyhow::Result<Option<Requests>> {
        let Some(path) = &self.requests else {
            return Ok(None);
        };
        if scenario.gateways.count == 0 {
            let message = "the scenario has no gateway that requests could come to";
            return Err(Failure::new(Exit::Usage, message, "add --gateways 2").into());
        }
        Ok(Some(requests(path)?))
    }

    fn traces(&self) -> Result<Vec<Availability>, Failure> {
        let trace = |path: &PathBuf| {
            let text = fs::read(path).map_err(|error| unread(path, error))?;
            Availability::read(&path.display().to_string(), &text).map_err(|error| {
                let way_out = "the format is that of skypilot-org/spot-traces";
                Failure::new(
                    Exit::Usage,
                    "the availability trace cannot be used",
                    way_out,
                )
                .caused_by(error)
            })
        };
        self.availability.iter().map(trace).collect()
    }
}

fn read(name: &str, text: &str) -> Result<Scenario, Failure> {
    Scenario::read(name, text).map_err(unusable)
}

fn unusable(error: scenario::ScenarioError) -> Failure {
    let way_out = "`remuda sim --list` names scenarios that can";
    Failure::new(Exit::Usage, "the scenario cannot be used", way_out).caused_by(error)
}

fn unread(path: &Path, error: io::Error) -> Failure {
    let message = format!("cannot read {}", path.display());
    Failure::new(Exit::Usage, message, "name a file that is there").caused_by(error)
}

fn simulate(
    scenario: Scenario,
    seed: u64,
    inputs: &Inputs,
    context: &Context,
) -> anyhow::Result<Outcome> {
    let bar = progress::count(context.output, "days", scenario.days);
    let simulation = Simulation::new(scenario, seed, inputs.clone())?;
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

fn write(path: &Path, page: &str) -> Result<(), Failure> {
    fs::write(path, page).map_err(|error| {
        let message = format!("cannot write {}", path.display());
        Failure::new(
            Exit::Usage,
            message,
            "name a file in a folder that is there",
        )
        .caused_by(error)
    })
}
