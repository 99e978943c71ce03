//! The detector against networks that lose, delay and double.
#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(unreachable_pub, reason = "tests")]

mod bound;
mod false_alarms;
mod order;
mod trouble;
mod world;
