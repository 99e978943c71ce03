//! The reconciler against model nodes.
#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(unreachable_pub, reason = "tests")]

mod accept;
mod cases;
mod converge;
mod model;
mod storm;
