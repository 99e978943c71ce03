//! Who gets which GPU: a fleet of nodes and a request in, placements or reasons out.
//!
//! Every answer explains itself: [`whys`] says what a placement was preferred by, a refusal
//! ([`Unplaced`]) counts what eliminated how many nodes and names the smallest change that would
//! help. Nodes are never sampled, and yet no decision looks at all of them: nodes alike are counted
//! together, and what was found is remembered and brought up to date.
//!
//! The order of preference is fixed: sites that are not shunned; then the lowest price, congestion
//! counted; then the node whose capacity loses least for what the plan expects; then the fullest;
//! then the lowest node key. Shunned is what [`kinship`] found to fail together with where a
//! replica's siblings are.
//!
//! What does not belong here: leases, money beyond a price by the hour, time, and any IO.
#![forbid(unsafe_code)]

mod amounts;
mod ask;
mod bits;
mod brief;
pub mod calendar;
pub mod congestion;
pub mod constraint;
pub mod fleet;
pub mod free;
pub mod invariant;
mod keys;
pub mod kinship;
mod log;
mod map;
mod memory;
pub mod place;
pub mod plan;
mod pool;
mod quotas;
mod quote;
mod rates;
pub mod relaxation;
pub mod repack;
pub mod request;
mod search;
mod text;
pub mod unplaced;
mod view;
pub mod why;
mod worth;

pub use amounts::Amounts;
pub use calendar::{Booking, Calendar};
pub use congestion::Congestion;
pub use constraint::Constraint;
pub use fleet::{Fleet, HoldError, NodeOffer, OfferError, ReleaseError, RemoveError, UnknownNode};
pub use free::{Free, GpuSet};
pub use invariant::Violation;
pub use kinship::{Kinship, Rule};
pub use place::{
    GroupError, Placement, explain, explain_group, fabrics_with_room, find, find_group, place,
    place_group,
};
pub use plan::{Expected, Plan};
pub use quotas::{Cell, DemandClass, Quota, Quotas};
pub use quote::quote;
pub use relaxation::Relaxation;
pub use repack::{Held, Move, Scales, repack};
pub use request::{Avoid, Near, Replicas, Request, RequestError, Siblings, Spread, Together};
pub use unplaced::Unplaced;
pub use why::{TieBreak, Why, whys};
