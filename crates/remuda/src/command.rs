//! One file for each group of commands: its arguments, and what it does with them.
//!
//! `run` gets parsed arguments and the [`crate::context::Context`], and prints one result.

mod amount;
pub(crate) mod audit;
mod cancelled;
pub(crate) mod completions;
pub(crate) mod control;
pub(crate) mod deploy;
pub(crate) mod engine;
pub(crate) mod events;
pub(crate) mod gateway;
mod joining;
pub(crate) mod key;
pub(crate) mod ledger;
pub(crate) mod logs;
pub(crate) mod model;
pub(crate) mod node;
pub(crate) mod offers;
pub(crate) mod order;
pub(crate) mod profile;
pub(crate) mod project;
pub(crate) mod provider;
pub(crate) mod replay;
pub(crate) mod reservation;
pub(crate) mod schema;
pub(crate) mod sim;
pub(crate) mod status;
pub(crate) mod tenant;
pub(crate) mod top;
mod wait;
pub(crate) mod workload;
