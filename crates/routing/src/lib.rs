//! The gateway's decisions: admit, pick, retry, resume, meter, and spend from a tranche.
//!
//! A request passes the modules in this order: [`admission`] (is the key good, is there room),
//! [`tranche`] (is there money for the worst case), [`prefix`] (what does it share with others),
//! [`pick`] (which replica), [`hedge`] (is it time to ask a second one), [`stream`] (keep it going
//! whatever replicas do), [`meter`] and [`price`] (what it costs and whom it pays), [`usage`] (the
//! totals that control is told).
//!
//! Nothing here reads a clock, opens a socket or knows a wire format: the gateway turns frames into
//! calls and answers into frames. Fairness between keys will come into [`admission`] as a further
//! term of a waiter's turn.
#![forbid(unsafe_code)]

pub mod admission;
pub mod hedge;
pub mod invariant;
pub mod meter;
pub mod pick;
pub mod prefix;
pub mod price;
pub mod stream;
pub mod tranche;
pub mod usage;

pub use admission::{Denied, KeyRing, Queue, RateLimiter};
pub use hedge::Hedge;
pub use meter::{Bill, Delivery};
pub use pick::{Balancer, Wish};
pub use prefix::Prefix;
pub use price::{Rate, Tokens};
pub use stream::Stream;
pub use tranche::Purse;
pub use usage::UsageAccumulator;
