//! Everything at once in a small network: every promise holds, whatever the seed.

use std::error::Error;

use super::{run, scenario};

/// Some that never broke a promise, and those that did once.
const SEEDS: [u64; 8] = [1, 2, 3, 4, 5, 6, 7, 1_051];

fn weather(seed: u64) {
    let outcome = run(scenario("storm"), seed);
    let outcome =
        outcome.unwrap_or_else(|failure| panic!("{failure}: {}", failure.source().unwrap()));
    // A storm in which nothing happens proves nothing.
    assert!(outcome.nodes_lost > 20 && outcome.nodes_suspected > outcome.nodes_lost);
    assert!(outcome.control_faults > 0 && outcome.forfeits > 0);
    let leases_lost: u64 = outcome.by_day.iter().map(|day| day.leases_lost).sum();
    assert!(leases_lost > 50, "{leases_lost}");
}

#[test]
fn every_promise_holds_in_every_storm() {
    SEEDS.into_iter().for_each(weather);
}

#[test]
fn one_seed_gives_one_run() {
    let told = |seed| {
        let mut storm = scenario("storm");
        storm.gpus = 48;
        format!("{:?}", run(storm, seed).unwrap())
    };
    assert_eq!(told(21), told(21));
    assert_ne!(told(21), told(22));
}
