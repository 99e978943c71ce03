//! The daemon against a control, gateways and an engine of the tests' own, over loopback.
//!
//! The programs that the daemon runs are this very binary: see [`roles`].
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::large_futures,
    reason = "this whole binary is a test"
)]
#![expect(unreachable_pub, reason = "tests")]

mod control;
mod daemon;
mod door;
mod fences;
mod gateway;
mod process;
mod rig;
mod roles;
mod session;
