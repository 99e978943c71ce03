//! Who may ask, how often, and how long a request may wait for its turn.
//!
//! [`KeyRing`] knows the API keys, [`RateLimiter`] counts requests a minute, [`Queue`] holds the
//! requests that wait for a replica of one model. Whatever refuses a request, here or in another
//! module, ends as one [`Denied`], which knows its HTTP status and when to come back.

mod denied;
pub mod keys;
pub mod queue;
pub mod rate;

pub use denied::Denied;
pub use keys::{Key, KeyEntry, KeyRing};
pub use queue::{Queue, Turn};
pub use rate::{Allowance, RateLimiter};
