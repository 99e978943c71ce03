//! End to end: the real binary, a real model, real processes that are really killed.

mod chat;
mod control_killed;
mod crash;
mod disk;
mod faults;
mod gateway_door;
mod gateway_killed;
mod kills;
mod lone_control;
pub(crate) mod network;
mod node_door;
mod refusals;
mod serving;
mod site_drained;
