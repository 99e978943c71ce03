//! A cost that no placement can undercut, from shadow prices: good ones, stale ones, or none.
//!
//! Weak duality: whoever takes a GPU in a cell at price `p` is charged `λ` more, and what the
//! surcharges could bring in at most, the whole cell sold, is given back. That cannot come out
//! dearer than the real thing, whatever `λ ≥ 0` is:
//!
//! `L(λ) = Σ_j D_j · min(unserved_j, min_d (p_d + λ_d)) − Σ_d λ_d · C_d`
//!
//! One pass over who may go where, in integers, nothing rounded: what comes out is certified.

use remuda_types::Price;

use crate::cost::Cost;
use crate::problem::{Demand, Problem};

/// What one more GPU-hour of each cell would be worth; cells that are not named are worth none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Duals(Vec<Price>);

impl Duals {
    /// Shadow prices by cell.
    pub const fn new(prices: Vec<Price>) -> Self {
        Self(prices)
    }

    /// Says what one more GPU-hour of this cell would be worth.
    pub(crate) fn set(&mut self, supply: usize, price: Price) {
        if let Some(known) = self.0.get_mut(supply) {
            *known = price;
        }
    }

    /// What one more GPU-hour of this cell would be worth.
    pub fn of(&self, supply: usize) -> Price {
        self.0.get(supply).copied().unwrap_or_default()
    }
}

/// What serving the problem's demand costs at least, whatever is placed where and whatever the
/// duals are; the better they are the higher it is, and with those of the best plan it is that
/// plan's cost.
pub fn bound(problem: &Problem, duals: &Duals) -> Cost {
    let charged = problem.demands().iter().map(|demand| {
        let cheapest = cheapest(problem, duals, demand);
        u128::from(demand.gpu_milli) * cheapest
    });
    let supplies = problem.supplies().iter().enumerate();
    let given_back = supplies.map(|(at, supply)| {
        u128::from(supply.gpu_milli) * u128::from(duals.of(at).micros_per_hour())
    });
    Cost::from_nanos(charged.sum::<u128>().saturating_sub(given_back.sum()))
}

/// The least that a GPU-hour of a class can cost, surcharges included. Nobody goes to a full cell.
fn cheapest(problem: &Problem, duals: &Duals, demand: &Demand) -> u128 {
    let open = demand
        .cells
        .iter()
        .filter(|&&cell| problem.supplies()[cell].gpu_milli > 0);
    let surcharged = open.map(|&cell| {
        let price = problem.supplies()[cell].price.micros_per_hour();
        u128::from(price) + u128::from(duals.of(cell).micros_per_hour())
    });
    let unserved = u128::from(demand.unserved.micros_per_hour());
    surcharged.fold(unserved, u128::min)
}
