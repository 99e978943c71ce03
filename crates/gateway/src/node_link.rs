//! The way to nodes: one connection for each, a stream for each request, and probes.

mod channel;
mod pool;

pub(crate) use channel::{Channel, Lost, Probed, Waits, fits};
pub(crate) use pool::Nodes;
