//! What serving the world's demand costs: the network's own placement and plans, beside the least
//! that anybody could have paid who knew everything before, and beside rules of thumb.
//!
//! Sites are drawn on cities, by population to the power of 0.7; their prices differ by about 30 %.
//! What is asked for comes from cities by population, a GPU at a time and in random order, 85 % of
//! all there is: 30 % of it must be within 30 ms, 40 % within 100 ms, 30 % may be anywhere. Nothing
//! leaves. What is refused is paid for dearly, by every rule and by the bound alike.
//!
//! What a plan is made of is a forecast, wrong for every class by as much as is said, up or down.
//! As demand shows the forecast is brought up to date and the plan made anew, of what is still to
//! come and what is still free.
//!
//! Where round trips were not measured they are reckoned by distance ([`crate::cities`]).

mod demand;
mod ours;
mod reach;
mod rules;
mod scene;

pub use ours::{Ours, PlanError};
pub use rules::{cheapest, nearest};
pub use scene::{Class, Scene, SceneError, Settings, Site, Users};

/// What a rule came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What it costs by the hour, what was refused included.
    pub cost: remuda_planner::Cost,
    /// How many requests it refused.
    pub rejected: u64,
}

/// Thousandths of one whole GPU: what every request asks for.
pub(crate) const GPU_MILLI: u64 = 1_000;

impl Outcome {
    /// Counts a request that was served at this price by the hour, or refused.
    fn count(&mut self, price: Option<remuda_types::Price>) {
        let paid = price.unwrap_or(scene::REFUSED);
        self.cost = self.cost + remuda_planner::Cost::of(paid, GPU_MILLI);
        self.rejected += u64::from(price.is_none());
    }
}

#[cfg(test)]
mod tests;
