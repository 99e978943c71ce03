//! The node daemon: runs what control assigns to this machine, and keeps running it when control is
//! silent.
//!
//! Tasks, each with its inputs and its output in its header:
//! - `session`: control's words in, reports out; reconnects for ever;
//! - `reconcile`: snapshot, plan, act, publish; the only one that changes what is
//!   held;
//! - `replica`: one task for each local replica: prepare, start, probe, stop;
//! - `door`: requests of gateways and probes of anyone, over the same endpoint;
//! - `http`: `/metrics` and `/health` for the machine's owner.
//!
//! **No workload stops because control is silent.** No task here takes "control is gone" as an
//! input; a replica stops because a newer assignment says so, or because its lease's hard end passed.
//!
//! What does not belong here: placement, money, tokens, and what a model is.

mod config;
mod daemon;
mod door;
mod exit;
mod files;
mod http;
mod identity;
mod inventory;
mod leftovers;
mod logs;
mod metrics;
mod model;
mod pause;
mod reconcile;
mod replica;
mod replicas;
mod runtime;
mod session;
mod store;
mod translate;
mod view;

pub use config::{CapacityOverrides, Config, ControlAddress, Pace, Policy};
pub use daemon::{Refused, Running, StartError, start};
pub use runtime::fork::die_with_parent;
