//! Who gets which GPU: a fleet of nodes and a request in, placements or reasons out.
//!
//! Every answer explains itself: a [`Placement`] carries [`Why`], a refusal ([`Unplaced`]) counts
//! what eliminated how many nodes and names the smallest change that would help. Nodes are never
//! sampled. The order of preference is fixed: lowest price, then tightest fit, then lowest node key.
//!
//! Inside is the plain exact algorithm, one look at every node. What does not belong here: leases,
//! money beyond a price by the hour, time (the calendar of reservations comes later), and any IO.
#![forbid(unsafe_code)]

mod ask;
pub mod constraint;
pub mod fleet;
pub mod free;
pub mod invariant;
pub mod place;
mod quote;
pub mod relaxation;
pub mod request;
mod text;
pub mod unplaced;
mod view;
pub mod why;

pub use constraint::Constraint;
pub use fleet::{Fleet, HoldError, NodeOffer, OfferError, ReleaseError, RemoveError, UnknownNode};
pub use free::{Free, GpuSet};
pub use invariant::Violation;
pub use place::{Placement, place, place_group};
pub use quote::quote;
pub use relaxation::Relaxation;
pub use request::{Avoid, Near, Replicas, Request, RequestError, Spread};
pub use unplaced::Unplaced;
pub use why::{TieBreak, Why};
