//! Proof that the decide crates hold what they promise: their own code, run on made or recorded
//! worlds, beside what others do.
//!
//! Everything drawn is drawn from a seed: the same seed and the same code give the same run. What
//! does not belong here: decisions of the network's own, wall clocks, and printing.
#![forbid(unsafe_code)]

pub use remuda_planner as planner;

pub mod availability;
pub mod cities;
pub mod correlation;
pub mod cost;
pub mod file;
pub mod liveness;
pub mod openb;
pub mod packing;
pub mod requests;
pub mod run;
pub mod scenario;
pub mod serving;
mod table;
pub mod world;
