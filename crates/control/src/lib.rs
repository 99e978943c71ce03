//! Control: the one writer round the network's state machine.
//!
//! A command goes through the [`sequencer`] (decide, make durable, answer); the [`follower`] holds
//! a second state for every read, cuts snapshots and builds the SQL projections. Sessions with
//! nodes and gateways are told whole truths by level; the failure detector turns their silence into
//! commands. What does not belong here: decisions about the network (`remuda-network`), and
//! anything that a node or a gateway does.

pub mod bootstrap;
pub mod clock;
pub mod config;
pub mod core;
pub mod detector;
pub mod follower;
pub mod http;
pub mod metrics;
pub mod planning;
pub mod projection;
pub mod sequencer;
pub mod server;
pub mod session;
pub mod vault;

pub use config::Config;
pub use core::Core;
pub use server::{Running, StartError, start};

/// The rooms whose types stand in [`Config`] and in what is read back from a journal.
pub use remuda_liveness as liveness;
pub use remuda_network as network;
