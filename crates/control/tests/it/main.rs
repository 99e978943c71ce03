//! Control from outside: a whole one in a folder of its own, driven over HTTP.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "this whole binary is a test"
)]

mod harness;
mod http_errors;
mod http_events;
mod http_keys;
mod http_later;
mod http_ledger;
mod http_models;
mod http_network;
mod http_once;
mod http_pages;
mod http_workloads;
mod node_session;
mod planning;
mod standing;
