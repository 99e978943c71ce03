//! The nodes' clocks, and control's.

use remuda_types::Span;
use serde::Deserialize;

use super::bounds::{NODE_HOURS_MIN, at_most, never_or_at_least, never_or_rarer, shorter};
use super::{Length, ScenarioError};

/// The most that a clock may run fast or slow by.
const DRIFT_PPM_MAX: u32 = 100_000;
/// The most that a clock may be off by: of one that is further off, its owner hears.
const OFF_MAX: Span = Span::DAY;
/// Control's clock is set once a minute at most.
const STEPS_PER_DAY_MAX: f64 = 1_440.0;

/// The nodes' clocks, and control's.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Clocks {
    /// How far a clock may be off, either way.
    pub off: Length,
    /// One step of a node's clock per so many node-hours; 0 is never.
    pub step_node_hours: f64,
    /// Each node's clock runs fast or slow by up to so many millionths.
    pub drift_ppm: u32,
    /// About so often each node's clock is set right, to within `off`; never where that is zero.
    pub set_every: Length,
    /// How far control's clock may be off, either way. Another control has another.
    pub control_off: Length,
    /// How often control's clock is set in a day, within `control_off`, forward or back.
    pub control_steps_per_day: f64,
}

impl Clocks {
    pub(super) fn check(&self) -> Result<(), ScenarioError> {
        never_or_at_least(
            "clocks.step_node_hours",
            self.step_node_hours,
            NODE_HOURS_MIN,
        )?;
        at_most(
            "clocks.control_steps_per_day",
            self.control_steps_per_day,
            STEPS_PER_DAY_MAX,
        )?;
        shorter("clocks.off", self.off, OFF_MAX)?;
        shorter("clocks.control_off", self.control_off, OFF_MAX)?;
        never_or_rarer("clocks.set_every", self.set_every)?;
        if self.drift_ppm > DRIFT_PPM_MAX {
            let problem = format!("{}: 0 to {DRIFT_PPM_MAX} is expected", self.drift_ppm);
            return Err(ScenarioError::value("clocks.drift_ppm", problem));
        }
        Ok(())
    }

    /// How far control's clock may be set at once.
    pub(crate) const fn control_step(&self) -> Span {
        let off = self.control_off.0;
        off.saturating_add(off)
    }

    /// How far a node's clock and control's may come apart in a run, beside what nodes are off.
    pub(crate) fn skew(&self, run: Span) -> Span {
        // A clock is set after one and a half of its turns at most.
        let turn = self.set_every.0.as_millis();
        let longest = if turn == 0 {
            run.as_millis()
        } else {
            turn.saturating_add(turn / 2)
        };
        let drifted = longest.saturating_mul(u64::from(self.drift_ppm)) / 1_000_000;
        Span::from_millis(drifted).saturating_add(self.control_step())
    }
}
