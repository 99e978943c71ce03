//! Plans of the whole network, made as control makes them but in no time.
//!
//! What is not here: what a plan is, and how one is followed.

use remuda_network::command::NewPlan;
use remuda_network::{Command, Network, Outlook, Policy};
use remuda_planner::{Brief, Gap, ProblemError, Prospect, Round, SolveError, Solver};
use remuda_types::{Span, Time};

/// Makes plans.
#[derive(Debug, Default)]
pub(crate) struct Planning {
    solver: Solver,
    /// When the next is made; none when none ever is.
    pub(crate) due: Option<Time>,
    /// How far what was held was from the cheapest, each time.
    pub(crate) gaps: Gaps,
}

/// Why there is no plan where there should be one.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The network cannot be planned.
    #[error(transparent)]
    Problem(#[from] ProblemError),
    /// The solver failed.
    #[error(transparent)]
    Solve(#[from] SolveError),
}

/// How far what was held was from the cheapest, over a run, in millionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    /// Plans made.
    pub plans: u64,
    sum_ppm: u128,
    counted: u64,
    /// The last.
    pub last_ppm: Option<u64>,
}

impl Gaps {
    fn count(&mut self, gap: Option<Gap>) {
        self.plans += 1;
        self.last_ppm = gap.and_then(Gap::ppm);
        self.sum_ppm += u128::from(self.last_ppm.unwrap_or_default());
        self.counted += u64::from(self.last_ppm.is_some());
    }

    /// The mean over the plans.
    pub fn mean_ppm(&self) -> Option<u64> {
        let mean = self.sum_ppm.checked_div(u128::from(self.counted))?;
        u64::try_from(mean).ok()
    }
}

impl Planning {
    /// Plans every so often from `now` on; never where that is zero.
    pub(crate) fn begin(&mut self, every: Span, now: Time) {
        self.due = (every > Span::ZERO).then(|| now + every);
    }

    /// The next plan, unless there is nothing to plan.
    pub(crate) fn make(&mut self, network: &Network) -> Result<Option<Command>, PlanError> {
        let state = network.state();
        let outlook = Outlook::of(state);
        let brief = brief(&outlook, &state.policy);
        let Some(round) = Round::look(network.index().fleet(), &brief)? else {
            return Ok(None);
        };
        let made = round.solve(&mut self.solver)?;
        self.gaps.count(made.gap);
        Ok(Some(Command::AdoptPlan(Box::new(NewPlan {
            number: state.plan.as_ref().map_or(0, |plan| plan.number) + 1,
            quotas: made.quotas,
            packing: made.packing,
        }))))
    }
}

fn brief<'a>(outlook: &'a Outlook, policy: &Policy) -> Brief<'a> {
    Brief {
        expected: &outlook.expected,
        waiting: &outlook.waiting,
        prospect: Prospect::new(
            policy.unserved_gpu_price,
            policy.plan_headroom_percent,
            policy.plan_classes_max as usize,
        ),
        congestion: policy.congestion(),
    }
}
