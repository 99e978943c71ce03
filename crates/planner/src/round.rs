//! One round of planning: a look at the network, and what is made of it.
//!
//! The look is quick and needs the fleet to stand still; solving takes its time and needs nothing.

use std::collections::BTreeMap;

use remuda_placement::{Congestion, DemandClass, Expected, Fleet, Plan, Quota};
use remuda_types::Price;

use crate::gap::Gap;
use crate::problem::ProblemError;
use crate::solver::{SolveError, Solver};
use crate::survey::{Prospect, Survey};

/// What planners are told.
#[derive(Clone, Debug)]
pub struct Brief<'a> {
    /// How often each shape, on each list of classes, is wanted.
    pub expected: &'a BTreeMap<Expected, u64>,
    /// What has no node, in thousandths of a GPU.
    pub waiting: &'a BTreeMap<DemandClass, u64>,
    /// What is looked out for.
    pub prospect: Prospect,
    /// What congestion counts.
    pub congestion: Congestion,
}

/// A network that was looked at.
#[derive(Clone, Debug)]
pub struct Round {
    survey: Survey,
    packing: Plan,
}

/// What a round makes.
#[derive(Clone, Debug)]
pub struct Made {
    /// What each kind of demand is to have of each cell.
    pub quotas: Vec<Quota>,
    /// What free capacity is worth.
    pub packing: Plan,
    /// How far what is held is from the least that it could cost; `None` where nothing is.
    pub gap: Option<Gap>,
    /// How much of what was asked has a quota, and how much has none, in thousandths of a GPU.
    pub served_gpu_milli: u64,
    /// See `served_gpu_milli`.
    pub unserved_gpu_milli: u64,
}

impl Prospect {
    /// Looks out for that many classes, with so much more of each, in hundredths.
    pub const fn new(unserved: Price, headroom_percent: u32, classes_max: usize) -> Self {
        Self {
            unserved,
            headroom_percent,
            classes_max,
        }
    }
}

impl Round {
    /// Looks at a fleet. `None` when nothing is asked, or nothing is there.
    pub fn look(fleet: &Fleet, brief: &Brief<'_>) -> Result<Option<Self>, ProblemError> {
        let survey = match Survey::of(fleet, brief.waiting, brief.prospect) {
            Err(ProblemError::NoDemand | ProblemError::NoSupply) => return Ok(None),
            survey => survey?,
        };
        let expected = brief.expected.iter().map(|(task, count)| (task, *count));
        let packing = Plan::new(fleet, expected, brief.congestion.clone());
        Ok(Some(Self { survey, packing }))
    }

    /// Makes the plan.
    pub fn solve(self, solver: &mut Solver) -> Result<Made, SolveError> {
        let Self { survey, packing } = self;
        let plan = solver.solve(survey.problem())?;
        let asked = survey.problem().demands().iter().map(|of| of.gpu_milli);
        let served_gpu_milli = plan.quotas.iter().map(|quota| quota.gpu_milli).sum();
        Ok(Made {
            gap: survey.gap(&plan.duals),
            quotas: survey.quotas(&plan).collect(),
            packing,
            served_gpu_milli,
            unserved_gpu_milli: asked.sum::<u64>().saturating_sub(served_gpu_milli),
        })
    }
}
