//! The network from outside: scenarios by theme, random histories, and the encoded form held fast.
//! Whole clusters, with machines and a detector, are `sim`'s.
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may fail; clippy's own exception sees only `#[test]` functions"
)]

mod deploy;
mod drain;
mod drain_site;
mod failover;
mod gang;
mod give_way;
mod golden;
mod keys;
mod kinship;
mod lease_money;
mod leave;
mod oracle;
mod order;
mod plan;
mod random;
mod refusals;
mod repack;
mod reserve;
mod scale_reserved;
mod share;
mod standby;
mod stop;
mod tranche;
mod world;
