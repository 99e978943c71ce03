//! The gateway between a fake control and fake nodes that speak the real protocols over loopback.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "this whole binary is a test"
)]

mod anthropic;
mod clients;
mod control;
mod crash;
mod door;
mod failover;
mod gguf;
mod http;
mod models;
mod money;
mod node;
mod refusals;
mod responses;
mod shapes;
mod spool;
mod tools;
mod world;
