//! The whole network as one state machine: providers, sites, nodes, tenants, workloads, leases,
//! bonds and money.
//!
//! [`Network::decide`] turns a command into facts or a refusal; [`Network::commit`] applies facts.
//! Nothing here knows of clocks, files, sockets or tasks: time and ids come in as arguments, and
//! the same commands give the same state on every machine. Texts of tenants are not here either:
//! events carry [`remuda_types::Label`]s (DESIGN, invariant 7).
#![forbid(unsafe_code)]

pub mod absence;
pub mod bond;
pub mod command;
pub mod event;
pub mod index;
pub mod invariant;
pub mod network;
pub mod outlook;
pub mod policy;
pub mod refusal;
pub mod repack;
pub mod state;

mod apply;
mod decide;
mod explain;
mod terms;

pub use command::Command;
pub use event::Event;
pub use index::Index;
pub use network::{Decision, Network};
pub use outlook::Outlook;
pub use policy::Policy;
pub use refusal::Refusal;
pub use state::State;

/// The rooms whose types stand in this one's commands, events and refusals.
pub use remuda_ledger as ledger;
pub use remuda_placement as placement;
