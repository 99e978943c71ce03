//! The built-in inference engine: llama.cpp behind the frames of `remuda_wire::infer`.
//!
//! `remuda engine` is a child process of the node daemon that runs [`serve`] on a unix socket. The
//! layers below are public, so that tests and benchmarks measure each alone:
//! [`serve`] (sockets) → [`Engine`] (channels, admission) → [`Decoder`] (one thread, one llama.cpp
//! context, continuous batching) → [`choose`] (the sampler).
//!
//! What everything here serves: **a stream cut at any token goes on elsewhere, bit for bit**. So
//! the sampler draws its noise from (seed, position, token), and the logits of a sequence depend on
//! its tokens alone: not on what shares the batch, on how its prompt was cut into chunks, on what
//! was cached, or on its slot. [`settings`] and [`kernels`] hold the settings that make this true
//! and why; `tests/it/invariance.rs` holds the proof. It is true on CPUs whose dot products take one
//! column at a time (all of x86); GPUs are equal only to themselves.
//!
//! What does not belong here: text (the gateway owns tokens), leases and grants (the node checks
//! them), and digests of files (whoever starts the engine has verified the weights).

pub mod choose;
pub mod config;
pub mod decoder;
pub mod engine;
pub mod kernels;
pub mod load;
pub mod model;
pub mod noise;
pub mod request;
pub mod serve;
pub mod settings;

mod batch;
mod cache;
mod lanes;
mod logprobs;
mod sequence;
mod worker;

pub use config::Config;
pub use decoder::Decoder;
pub use engine::{Counters, Engine};
pub use model::Model;
pub use request::Request;
pub use serve::serve;
