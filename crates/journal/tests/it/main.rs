//! The journal from outside: against an oracle, under kill, tampered with, full, followed.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this whole binary is a test"
)]

mod crash;
mod erase;
mod full;
mod golden;
mod oracle;
mod sample;
mod snapshots;
mod tamper;
mod writers;
