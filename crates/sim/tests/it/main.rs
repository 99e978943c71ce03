//! Whole networks under a virtual clock, small enough for every change.

mod fleet;
mod storm;

use remuda_sim::run::{Failure, Outcome, Simulation};
use remuda_sim::scenario::{Scenario, shipped};

/// A scenario that comes with the program.
fn scenario(name: &str) -> Scenario {
    let found = shipped().iter().find(|scenario| scenario.name == name);
    Scenario::read(name, found.unwrap().text).unwrap()
}

fn run(scenario: Scenario, seed: u64) -> Result<Outcome, Failure> {
    Simulation::new(scenario, seed)?.run(|_| ())
}
