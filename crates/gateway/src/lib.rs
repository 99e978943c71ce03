//! The gateway: the door through which requests reach replicas.
//!
//! - `door`: OpenAI's HTTP API; turns bodies into asks and events into bodies. Operators have a door
//!   of their own.
//! - `request`: one request from admission to its bill; drives `remuda-routing`'s stream.
//! - `fleet`: the replicas of each model and the requests that wait for them.
//! - `money`: tranches, reservations and the usage that is posted to control.
//! - `spool`: what of that must survive a crash, in `SQLite`, committed in groups.
//! - `kept`: responses that clients asked to keep.
//! - `models`: tokenisers and chat templates from the first bytes of model files.
//! - `control_link`, `node_link`: the two neighbours.
//!
//! The gateway works while control is down: its last route table is on disk, its tranches are in the
//! spool, and usage waits there until it can be posted.
//!
//! # What a crash costs a client
//! A gateway that is killed breaks its own streams. Their requests are billed, when the gateway
//! comes back, what the last checkpoint says: the prompt and the tokens that had been handed to the
//! HTTP connection by then. Checkpoints are written every second, after handing over, so the bill is
//! never more than what was delivered and at most one second (and one commit) less. A request whose
//! answer is not streamed has nothing delivered before its end, and is billed nothing; nor is one
//! that fails.
//!
//! What does not belong here: decisions (they are `remuda-routing`'s), rendering and tokenising
//! (`remuda-tokens`), anything that knows control's state.
#![forbid(unsafe_code)]

mod config;
mod control_link;
mod door;
mod entropy;
mod files;
mod fleet;
mod gateway;
mod kept;
mod metrics;
mod models;
mod money;
mod node_link;
mod request;
mod server;
mod spool;
mod table;

pub use config::{Config, ControlAddress, Limits, Policies};
#[doc(hidden)]
pub use door::{BodyOf, check_body};
pub use files::FileError;
pub use kept::{Policy as KeptPolicy, StoreError};
pub use server::{Failed, Running, StartError, start};
pub use spool::OpenError;
