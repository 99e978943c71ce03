//! What is always true of a plan, written once.

use crate::plan::Plan;
use crate::problem::{DemandId, Problem, SupplyId};

/// What is wrong with a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A class gets more than it asks.
    #[error("demand {0} has quotas for more than it asks")]
    TooMuchForDemand(DemandId),
    /// A cell gives more than it has.
    #[error("cell {0} has quotas for more than it has")]
    TooMuchOfSupply(SupplyId),
    /// A class has a quota where it may not go, or one of nothing, or two of one cell.
    #[error("demand {demand} has a quota of cell {supply} that it should not have")]
    Misplaced {
        /// The class.
        demand: DemandId,
        /// The cell.
        supply: SupplyId,
    },
}

/// Holds a plan against the problem that it is for.
pub fn check(problem: &Problem, plan: &Plan) -> Result<(), Violation> {
    let mut asked: Vec<u64> = problem.demands().iter().map(|of| of.gpu_milli).collect();
    let mut has: Vec<u64> = problem.supplies().iter().map(|of| of.gpu_milli).collect();
    let mut before = None;
    for quota in &plan.quotas {
        let (demand, supply) = (quota.demand, quota.supply);
        let may = problem.demands()[demand]
            .cells
            .binary_search(&supply)
            .is_ok();
        if !may || quota.gpu_milli == 0 || before >= Some((demand, supply)) {
            return Err(Violation::Misplaced { demand, supply });
        }
        before = Some((demand, supply));
        let left = asked[demand].checked_sub(quota.gpu_milli);
        asked[demand] = left.ok_or(Violation::TooMuchForDemand(demand))?;
        let left = has[supply].checked_sub(quota.gpu_milli);
        has[supply] = left.ok_or(Violation::TooMuchOfSupply(supply))?;
    }
    Ok(())
}
