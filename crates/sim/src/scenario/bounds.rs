//! How often things may befall a network and how long they may take: bounds within which a run comes
//! to an end, far beyond anything that a network was ever seen to go through.

use remuda_types::Span;

use super::{DAYS_MAX, Failures, Length, Outages, Scenario, ScenarioError};

/// A node has one failure per so many GPU-hours at most: one of eight GPUs would hardly be up.
const GPU_HOURS_MIN: f64 = 1.0;
/// And anything else once in so many hours: six minutes.
pub(super) const NODE_HOURS_MIN: f64 = 0.1;
/// What befalls a site, a gateway or control comes once in five minutes at most: replicas are placed
/// anew each time, and take as long to come up.
pub(super) const PER_YEAR_MAX: f64 = 100_000.0;
/// What the network does to every lease or node by itself, it does once in so much time at most.
pub(super) const OFTEN_MIN: Span = Span::from_secs(60);
/// No message is longer on its way: half of the longest round trip that a file may name.
pub(super) const LATE_MAX: Span = Span::from_secs(60);

impl Scenario {
    /// What befalls the network at a time of its own does so within the run, before its calm.
    pub(super) fn check_times(&self) -> Result<(), ScenarioError> {
        let exits = self.exits.iter().map(|exit| exit.after);
        let cuts = self.cuts.iter().map(|cut| cut.after);
        let of = |list: &'static str| move |(number, after)| (list, number, after);
        let exits = exits.enumerate().map(of("exits"));
        let mut all = exits.chain(cuts.enumerate().map(of("cuts")));
        let last = self.length().saturating_sub(self.calm.0);
        match all.find(|(_, _, after)| after.0 >= last) {
            Some((list, number, after)) => Err(self.late(format!("{list}[{number}].after"), after)),
            None => Ok(()),
        }
    }

    fn late(&self, field: String, after: Length) -> ScenarioError {
        let needed = after.0.saturating_add(self.calm.0);
        let days = needed.as_millis() / Span::DAY.as_millis() + 1;
        ScenarioError::Late {
            field,
            after,
            days: self.days,
            calm: self.calm,
            needs_days: Some(days).filter(|days| *days <= DAYS_MAX),
        }
    }
}

impl Failures {
    pub(super) fn check(&self) -> Result<(), ScenarioError> {
        never_or_at_least("failures.gpu_hours", self.gpu_hours, GPU_HOURS_MIN)?;
        let hours = self.freeze_node_hours;
        never_or_at_least("failures.freeze_node_hours", hours, NODE_HOURS_MIN)
    }
}

impl Outages {
    pub(super) fn check(&self) -> Result<(), ScenarioError> {
        at_most("outages.per_site_year", self.per_site_year, PER_YEAR_MAX)?;
        at_most("outages.per_group_year", self.per_group_year, PER_YEAR_MAX)?;
        if self.per_group_year > 0.0 && self.group_sites == 0 {
            let problem = "0: with outages.per_group_year, the sites of a group are expected";
            return Err(ScenarioError::value(
                "outages.group_sites",
                problem.to_owned(),
            ));
        }
        Ok(())
    }
}

pub(super) fn whole(field: &str, value: u64, most: u64) -> Result<(), ScenarioError> {
    if (1..=most).contains(&value) {
        return Ok(());
    }
    let problem = format!("{value}: 1 to {most} is expected");
    Err(ScenarioError::value(field, problem))
}

fn rate(field: &str, value: f64) -> Result<(), ScenarioError> {
    if value.is_finite() && value >= 0.0 {
        return Ok(());
    }
    let problem = format!("{value}: a number that is not below 0 is expected");
    Err(ScenarioError::value(field, problem))
}

/// What comes so many times in some time.
pub(super) fn at_most(field: &str, value: f64, most: f64) -> Result<(), ScenarioError> {
    rate(field, value)?;
    if value <= most {
        return Ok(());
    }
    let problem = format!("{value:?}: at most {most} is expected");
    Err(ScenarioError::value(field, problem))
}

/// What comes once in so many hours; never at 0.
pub(super) fn never_or_at_least(field: &str, value: f64, least: f64) -> Result<(), ScenarioError> {
    rate(field, value)?;
    if value == 0.0 || value >= least {
        return Ok(());
    }
    let problem = format!("{value:?}: 0, which is never, or at least {least} is expected");
    Err(ScenarioError::value(field, problem))
}

/// What comes once in so much time; never at 0.
pub(super) fn never_or_rarer(field: &str, every: Length) -> Result<(), ScenarioError> {
    if every.0 == Span::ZERO || every.0 >= OFTEN_MIN {
        return Ok(());
    }
    let least = Length(OFTEN_MIN);
    let problem = format!("{every}: 0s, which is never, or at least {least} is expected");
    Err(ScenarioError::value(field, problem))
}

pub(super) fn shorter(field: &str, length: Length, most: Span) -> Result<(), ScenarioError> {
    if length.0 <= most {
        return Ok(());
    }
    let problem = format!("{length}: at most {} is expected", Length(most));
    Err(ScenarioError::value(field, problem))
}
