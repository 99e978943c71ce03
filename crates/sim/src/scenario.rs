//! What a simulated network is and what befalls it: a TOML file, read once into values that hold
//! together.
//!
//! ```toml
//! about = "a calm year"
//! gpus = 50_000
//! days = 365
//!
//! [failures]
//! gpu_hours = 50_677        # one failure per so many GPU-hours
//! ```
//!
//! Everything has a default; what is left out does not happen. Chances are per append, message and
//! so on; lengths of time are written as people write them (`"90s"`, `"1h 30m"`).

mod bounds;
mod clocks;
mod demand;
mod error;
mod gateways;
mod policy;
mod shipped;
mod value;

use remuda_types::Span;
use serde::Deserialize;

use crate::run::Detection;
use bounds::{LATE_MAX, PER_YEAR_MAX, at_most, shorter, whole};

pub use clocks::Clocks;
pub use demand::{Demand, Redundancy, ServiceMix};
pub use error::ScenarioError;
pub use gateways::Gateways;
pub use policy::Policy;
pub use shipped::{Shipped, shipped};
pub use value::{Chance, Factor, Length};

/// The most GPUs and days that a scenario may have.
const GPUS_MAX: u64 = 2_000_000;
const DAYS_MAX: u64 = 3_660;

/// What a simulated network is and what befalls it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scenario {
    /// One line for reports.
    pub about: String,
    /// GPUs in all.
    pub gpus: u64,
    /// Simulated days.
    pub days: u64,
    /// GPUs of a mean site.
    pub site_gpus: u32,
    /// Who judges whether nodes are alive.
    pub detection: Detection,
    /// How replicas come up.
    pub pace: Pace,
    /// Who buys.
    pub demand: Demand,
    /// Nodes that fail.
    pub failures: Failures,
    /// Sites that lose power or network.
    pub outages: Outages,
    /// Providers that leave.
    pub exits: Vec<Exit>,
    /// Regions that are cut off.
    pub cuts: Vec<Cut>,
    /// Control that dies and is replaced.
    pub control: Control,
    /// The journal's disk.
    pub disk: Disk,
    /// The way between control and nodes.
    pub wires: Wires,
    /// The nodes' clocks, and control's.
    pub clocks: Clocks,
    /// Gateways, and the requests that come to them.
    pub gateways: Gateways,
    /// What of the network's policy is another than by default.
    pub policy: Policy,
    /// The last stretch, in which nothing befalls the network and nobody orders. When it ends, every
    /// replica that has a lease must serve.
    pub calm: Length,
}

/// How replicas come up.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pace {
    /// Fetching image and weights: half are faster.
    pub prepare: Length,
    /// The sigma of the log-normal that fetching follows.
    pub prepare_sigma: Factor,
    /// From the start to the first probe served.
    pub start: Length,
}

/// Nodes that fail.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Failures {
    /// One failure per so many GPU-hours; 0 is never.
    pub gpu_hours: f64,
    /// Of these, so many end with a restart.
    pub restarts: Chance,
    /// How long a restart takes: half are faster.
    pub restart: Length,
    /// How long a repair takes: half are faster.
    pub repair: Length,
    /// One freeze per so many node-hours; 0 is never.
    pub freeze_node_hours: f64,
    /// How long a freeze lasts: half are shorter.
    pub freeze: Length,
}

/// Sites that lose power or network.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Outages {
    /// Outages of a site in a year.
    pub per_site_year: f64,
    /// Of these, so many are of power: what ran is lost.
    pub power: Chance,
    /// How long one lasts: half are shorter.
    pub length: Length,
    /// So many sites share a power feed or an uplink, and nobody says which; 0 is none.
    pub group_sites: u32,
    /// Outages of such a group in a year: all its sites at once.
    pub per_group_year: f64,
}

/// Providers that leave.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exit {
    /// How long after the start the first leaves.
    pub after: Length,
    /// Providers with this share of all GPUs leave.
    pub share: Chance,
    /// Of these, so many give notice.
    #[serde(default)]
    pub notice: Chance,
    /// Of those who give none, so many tell nobody that they leave: their nodes go dark for good. The
    /// others say so as it happens.
    #[serde(default)]
    pub silent: Chance,
    /// All have left within this.
    #[serde(default)]
    pub within: Length,
    /// Whether one provider has that share, over several sites; else as many leave as have it
    /// together.
    #[serde(default)]
    pub one_provider: bool,
}

/// A region that is cut off.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cut {
    /// How long after the start.
    pub after: Length,
    /// For how long.
    pub length: Length,
    /// Its sites lie within so many kilometres of one that is drawn.
    pub radius_km: u32,
}

/// Control that dies and is replaced.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Control {
    /// How often it dies in a year.
    pub per_year: f64,
    /// Until another has taken over: half are faster.
    pub down: Length,
}

/// The journal's disk.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Disk {
    /// Of all appends, so many fail.
    pub failing: Chance,
}

/// The way between control and nodes.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wires {
    /// Of all messages, so many are lost. Those of a session are sent again after a while.
    pub lost: Chance,
    /// Of all messages, so many arrive twice.
    pub doubled: Chance,
    /// How long a message takes at most.
    pub late: Length,
    /// Whether every node's report of every second is on the way, and not only those that say
    /// something new: for small networks.
    pub every_report: bool,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            about: "nothing befalls it".to_owned(),
            gpus: 50_000,
            days: 30,
            site_gpus: 1_450,
            detection: Detection::Remuda,
            pace: Pace::default(),
            demand: Demand::default(),
            failures: Failures::default(),
            outages: Outages::default(),
            exits: Vec::new(),
            cuts: Vec::new(),
            control: Control::default(),
            disk: Disk::default(),
            wires: Wires::default(),
            clocks: Clocks::default(),
            gateways: Gateways::default(),
            policy: Policy::default(),
            calm: Length::default(),
        }
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            prepare: Length(Span::from_secs(5)),
            prepare_sigma: Factor(0.5),
            start: Length(Span::from_secs(5)),
        }
    }
}

impl Default for Wires {
    fn default() -> Self {
        Self {
            lost: Chance(0.0),
            doubled: Chance(0.0),
            late: Length(Span::from_millis(200)),
            every_report: false,
        }
    }
}

impl Scenario {
    /// Reads a scenario. `name` is what errors call the file.
    pub fn read(name: &str, text: &str) -> Result<Self, ScenarioError> {
        Self::unchecked(name, text)?.checked()
    }

    /// Reads a scenario of which something will be replaced before it is checked.
    pub fn unchecked(name: &str, text: &str) -> Result<Self, ScenarioError> {
        toml::from_str(text).map_err(|error| ScenarioError::Syntax {
            name: name.to_owned(),
            problem: error.to_string(),
        })
    }

    /// The scenario, if its values hold together.
    pub fn checked(self) -> Result<Self, ScenarioError> {
        whole("gpus", self.gpus, GPUS_MAX)?;
        whole("days", self.days, DAYS_MAX)?;
        whole("site_gpus", u64::from(self.site_gpus), GPUS_MAX)?;
        if self.calm.0 >= self.length() {
            let problem = format!(
                "{}: shorter than the {} days is expected",
                self.calm.0, self.days
            );
            return Err(ScenarioError::value("calm", problem));
        }
        if self.wires.lost.0 > 0.0 && !self.wires.every_report {
            let problem = format!(
                "{}: what is lost shows only where wires.every_report is true",
                self.wires.lost.0
            );
            return Err(ScenarioError::value("wires.lost", problem));
        }
        self.check_times()?;
        self.demand.check()?;
        self.failures.check()?;
        self.outages.check()?;
        at_most("control.per_year", self.control.per_year, PER_YEAR_MAX)?;
        shorter("wires.late", self.wires.late, LATE_MAX)?;
        self.clocks.check()?;
        self.gateways.check(self.wires.lost)?;
        self.policy.check()?;
        Ok(self)
    }

    /// How long it lasts.
    pub const fn length(&self) -> Span {
        Span::from_secs(self.days.saturating_mul(86_400))
    }
}

#[cfg(test)]
mod tests;
