//! The planner: every few minutes a look at the whole network, off the path of commands, and a plan
//! of it as a command like any other.
//!
//! The network is looked at as the follower has it; solving takes a thread of its own. What does not
//! belong here: what a plan is (`remuda_planner`), and how one is followed (`remuda_network`).

use std::time::{Duration, Instant};

use remuda_network::command::NewPlan;
use remuda_network::{Command, Network, Outlook, Policy};
use remuda_planner::{Brief, Gap, Made, ProblemError, Prospect, Round, SolveError, Solver};
use remuda_types::Span;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

use crate::core::Core;
use crate::metrics::Metrics;
use crate::sequencer::SubmitError;

/// What the last plan says of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// How far what is paid for what runs is above the least that anybody could pay for it, in
    /// millionths; nobody can say of nothing.
    pub gap_ppm: Option<u64>,
    /// What is asked and has no quota, in thousandths of a GPU.
    pub unserved_gpu_milli: u64,
    /// How many quotas it has.
    pub quotas: usize,
    /// How long it took to make.
    pub took: Duration,
}

/// Why no plan was made.
#[derive(Debug, thiserror::Error)]
enum PlanError {
    #[error("the network cannot be planned")]
    Problem(#[from] ProblemError),
    #[error("the planner failed")]
    Solve(#[from] SolveError),
    #[error("the planner panicked")]
    Panicked(#[from] JoinError),
    #[error("the plan was not adopted")]
    Adopt(#[from] SubmitError),
}

/// Plans the network as often as its policy says, until it is stopped. Without a plan, or with an
/// old one, placement goes on: a failure is told and the next round tries again.
pub(crate) async fn run(core: Core, metrics: Metrics, stop: CancellationToken) {
    let mut last = Instant::now();
    loop {
        let every = plan_every(&core);
        tokio::select! {
            () = stop.cancelled() => return,
            () = another(&core, every) => continue,
            () = is_due(last, every) => last = Instant::now(),
        }
        let planned = tokio::select! {
            () = stop.cancelled() => return,
            planned = plan(&core) => planned,
        };
        match planned {
            Ok(Some(planned)) => {
                metrics.planned(planned);
                core.set_planned(planned);
            }
            Ok(None) => {}
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(error, "no plan was made: the last one is followed");
            }
        }
    }
}

fn plan_every(core: &Core) -> Span {
    core.read(|network| network.state().policy.plan_every)
}

/// Returns when the policy says another time than this.
async fn another(core: &Core, every: Span) {
    let mut changes = core.changes();
    while plan_every(core) == every {
        if changes.changed().await.is_err() {
            // Nothing changes any more: control is being stopped.
            std::future::pending::<()>().await;
        }
    }
}

/// Returns when so much time has passed since the last plan; never where none is wanted.
async fn is_due(last: Instant, every: Span) {
    if every == Span::ZERO {
        std::future::pending::<()>().await;
    }
    tokio::time::sleep_until((last + Duration::from_millis(every.as_millis())).into()).await;
}

/// Makes a plan and has it adopted, unless there is nothing to plan.
async fn plan(core: &Core) -> Result<Option<Planned>, PlanError> {
    let begun = Instant::now();
    let looked = core.clone();
    let made = tokio::task::spawn_blocking(move || make(&looked)).await??;
    let Some((number, made)) = made else {
        return Ok(None);
    };
    let planned = Planned {
        gap_ppm: made.gap.and_then(Gap::ppm),
        unserved_gpu_milli: made.unserved_gpu_milli,
        quotas: made.quotas.len(),
        took: begun.elapsed(),
    };
    let command = Command::AdoptPlan(Box::new(NewPlan {
        number,
        quotas: made.quotas,
        packing: made.packing,
    }));
    core.submit_own(command).await?;
    Ok(Some(planned))
}

fn make(core: &Core) -> Result<Option<(u64, Made)>, PlanError> {
    let looked = core.read(look)?;
    looked
        .map(|(number, round)| Ok((number, round.solve(&mut Solver::new())?)))
        .transpose()
}

/// The number of the next plan, and what it is made from.
fn look(network: &Network) -> Result<Option<(u64, Round)>, ProblemError> {
    let state = network.state();
    let outlook = Outlook::of(state);
    let round = Round::look(network.index().fleet(), &brief(&outlook, &state.policy))?;
    let last = state.plan.as_ref().map_or(0, |plan| plan.number);
    Ok(round.map(|round| (last + 1, round)))
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
