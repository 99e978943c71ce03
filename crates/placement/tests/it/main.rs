//! Placement from outside: the sentences it says, and its properties against brute force.
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    reason = "a test may fail; clippy's own exception sees only `#[test]` functions"
)]

mod aside;
mod calendar;
mod oracle;
mod properties;
mod sentences;
mod world;
