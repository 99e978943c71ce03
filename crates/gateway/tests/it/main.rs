//! The gateway between a fake control and fake nodes that speak the real protocols over loopback.

mod clients;
mod control;
mod crash;
mod failover;
mod gguf;
mod http;
mod models;
mod money;
mod node;
mod refusals;
mod shapes;
mod world;
