//! Whole networks under a virtual clock, small enough for every change.
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may fail; clippy's own exception sees only `#[test]` functions"
)]

mod bad_input;
mod fleet;
mod storm;

use remuda_sim::run::{Failure, Inputs, Outcome, Simulation};
use remuda_sim::scenario::{Scenario, shipped};

/// A scenario that comes with the program.
fn scenario(name: &str) -> Scenario {
    let found = shipped().iter().find(|scenario| scenario.name == name);
    Scenario::read(name, found.unwrap().text).unwrap()
}

fn run(scenario: Scenario, seed: u64) -> Result<Outcome, Failure> {
    Simulation::new(scenario, seed, Inputs::default())?.run(|_| ())
}
