//! How far above the best possible a cost is, and no more than that.

use crate::bound::{Duals, bound};
use crate::cost::Cost;
use crate::problem::Problem;

/// A cost and what it would be at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// What it costs.
    pub cost: Cost,
    /// What it costs at least, whoever places it.
    pub bound: Cost,
}

impl Gap {
    /// The gap of what was paid for this problem's demand, certified by any duals.
    pub fn of(problem: &Problem, cost: Cost, duals: &Duals) -> Self {
        let bound = bound(problem, duals);
        Self { cost, bound }
    }

    /// The cost above the bound in millionths of it, rounded up, so that it is never said to be
    /// less than it is; `None` where the bound is nothing and so says nothing.
    pub fn ppm(self) -> Option<u64> {
        let bound = self.bound.nanos();
        let above = self.cost.nanos().saturating_sub(bound);
        if bound == 0 {
            return (above == 0).then_some(0);
        }
        let ppm = above.saturating_mul(1_000_000).div_ceil(bound);
        Some(u64::try_from(ppm).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ppm(cost: u128, bound: u128) -> Option<u64> {
        let (cost, bound) = (Cost::from_nanos(cost), Cost::from_nanos(bound));
        Gap { cost, bound }.ppm()
    }

    #[test]
    fn a_gap_is_rounded_up() {
        assert_eq!(ppm(101, 100), Some(10_000));
        assert_eq!(ppm(1_000_000_001, 1_000_000_000), Some(1));
        assert_eq!(ppm(100, 100), Some(0));
        assert_eq!(ppm(u128::MAX, 1), Some(u64::MAX));
        assert_eq!((ppm(1, 0), ppm(0, 0)), (None, Some(0)));
    }
}
