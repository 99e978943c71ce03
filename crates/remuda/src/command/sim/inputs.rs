//! What a run is given: its scenario, and the files that take the place of what would be drawn.

use std::fs;
use std::path::Path;

use remuda_sim::availability::Availability;
use remuda_sim::cities::{City, RoundTrips, cities, round_trips};
use remuda_sim::file::{self, ReadError};
use remuda_sim::requests::{Requests, requests};
use remuda_sim::run::Inputs;
use remuda_sim::scenario::{self, Scenario, ScenarioError, Shipped};

use super::Args;
use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::strangers;

impl Args {
    pub(super) fn scenario(&self) -> Result<Scenario, Failure> {
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

    fn file(&self) -> Result<String, Failure> {
        let path = Path::new(&self.scenario);
        let read = file::regular(path).map_err(anyhow::Error::from);
        let read = read.and_then(|()| Ok(fs::read_to_string(path)?));
        read.map_err(|error| {
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

    pub(super) fn cities(&self) -> Result<Vec<City>, ReadError> {
        let read = self.cities.as_deref().map(cities);
        Ok(read.transpose()?.unwrap_or_default())
    }

    pub(super) fn round_trips(
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

    pub(super) fn requests(&self, scenario: &Scenario) -> anyhow::Result<Option<Requests>> {
        let Some(path) = &self.requests else {
            return Ok(None);
        };
        if scenario.gateways.count == 0 {
            let message = "the scenario has no gateway that requests could come to";
            return Err(Failure::new(Exit::Usage, message, "add --gateways 2").into());
        }
        Ok(Some(requests(path)?))
    }

    pub(super) fn traces(&self) -> Result<Vec<Availability>, Failure> {
        let traces = self
            .availability
            .iter()
            .map(|path| Availability::open(path));
        traces.collect::<Result<_, _>>().map_err(|error| {
            let way_out = "the format is that of skypilot-org/spot-traces";
            let message = "the availability trace cannot be used";
            Failure::new(Exit::Usage, message, way_out).caused_by(error)
        })
    }
}

/// Refuses files that no site would take.
pub(super) fn fit(inputs: &Inputs, sites: usize) -> Result<(), Failure> {
    let traces = inputs.traces.len();
    if traces <= sites {
        return Ok(());
    }
    let message = format!("{traces} availability traces for {sites} sites: some would be left out");
    let way_out =
        format!("name {sites} files or fewer, or have more sites: more --gpus, fewer --site-gpus");
    Err(Failure::new(Exit::Usage, message, way_out))
}

fn read(name: &str, text: &str) -> Result<Scenario, Failure> {
    Scenario::unchecked(name, text).map_err(unusable)
}

fn unusable(error: ScenarioError) -> Failure {
    let way_out = match &error {
        ScenarioError::Syntax { .. } => {
            "mend the file; `remuda sim --list` names scenarios that come with the program"
                .to_owned()
        }
        ScenarioError::Late {
            needs_days: Some(days),
            ..
        } => format!("run it for longer, with --days {days} or more, or have it happen earlier"),
        ScenarioError::Late { field, .. } => format!("give `{field}` an earlier time"),
        ScenarioError::Value { field, .. } => match field.as_str() {
            "gpus" | "days" => format!("give another number with --{field}, or in the scenario"),
            "site_gpus" => "give another number with --site-gpus, or in the scenario".to_owned(),
            "gateways.count" => {
                "give another number with --gateways, or in the scenario".to_owned()
            }
            _ => format!("give `{field}` another value in the scenario's file"),
        },
    };
    Failure::new(Exit::Usage, "the scenario cannot be used", way_out).caused_by(error)
}
