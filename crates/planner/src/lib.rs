//! What the whole network should buy where: demand by class and supply by cell in, quotas and
//! shadow prices out, and a bound that nobody can beat.
//!
//! A linear program, solved by `HiGHS` off the critical path: what every demand class is to take of
//! every cell so that all of it costs least. Its duals say what a cell's last GPU is worth, and with
//! any duals at all, good or stale, [`bound`] is a cost that no placement can undercut. So the
//! network can say at any time how far above the best possible it is ([`Gap`]), and be believed.
//!
//! Amounts and money are integers. The solver counts in floats; what it says is rounded and then
//! held to the capacities, and the bound never comes from the solver.
//!
//! What does not belong here: which node a replica goes to, clocks, and demand forecasts beyond the
//! bringing up to date of one ([`remaining`]).
#![forbid(unsafe_code)]

mod bound;
mod cost;
mod forecast;
mod gap;
pub mod invariant;
mod plan;
mod problem;
mod program;
mod round;
mod solver;
mod survey;

pub use bound::{Duals, bound};
pub use cost::Cost;
pub use forecast::{Elapsed, Forecast, remaining};
pub use gap::Gap;
pub use plan::{Plan, Quota};
pub use problem::{Demand, DemandId, Problem, ProblemError, Supply, SupplyId};
pub use round::{Brief, Made, Round};
pub use solver::{SolveError, Solver, Work};
pub use survey::{Prospect, Survey};

#[cfg(test)]
mod tests;
