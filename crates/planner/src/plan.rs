//! What the solver says: who is to take how much of what, and what the last GPU is worth.

use crate::bound::Duals;
use crate::cost::Cost;
use crate::problem::{DemandId, Problem, SupplyId};

/// How much a demand class is to take of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quota {
    /// The class.
    pub demand: DemandId,
    /// The cell.
    pub supply: SupplyId,
    /// How much, in thousandths of a GPU: more than nothing.
    pub gpu_milli: u64,
}

/// Quotas and shadow prices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The quotas, by class and cell. No class gets more than it asks, no cell gives more than it
    /// has.
    pub quotas: Vec<Quota>,
    /// What one more GPU-hour of each cell would be worth.
    pub duals: Duals,
}

impl Plan {
    /// What following the plan costs, demand that it leaves unserved included.
    pub fn cost(&self, problem: &Problem) -> Cost {
        let mut left: Vec<u64> = problem.demands().iter().map(|of| of.gpu_milli).collect();
        let served: Cost = self
            .quotas
            .iter()
            .map(|quota| {
                left[quota.demand] = left[quota.demand].saturating_sub(quota.gpu_milli);
                Cost::of(problem.supplies()[quota.supply].price, quota.gpu_milli)
            })
            .sum();
        let unserved = problem.demands().iter().zip(left);
        let unserved: Cost = unserved
            .map(|(demand, left)| Cost::of(demand.unserved, left))
            .sum();
        served + unserved
    }
}
