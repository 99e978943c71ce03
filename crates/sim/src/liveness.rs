//! The failure detector under a virtual clock: how much it digests, how soon it finds who died, and
//! whom it takes for dead that is not, on a wire that loses and delays.
//!
//! The detector is the one that control runs; made up is only when reports, probes and answers
//! arrive. A report that is lost is lost for good: QUIC would send it again, so that it came late,
//! and nodes are suspected more often here than on a real wire. A node dies without a word, as one
//! that is killed, frozen or cut off does: no connection breaks and no gateway's request fails, so
//! it is found by nothing but its silence. Losses are independent of each other.

mod agenda;
mod digest;
mod outcome;
#[cfg(test)]
mod tests;
mod trial;
mod wire;

use remuda_types::NodeKey;

pub use digest::{Digest, Digested};
pub use outcome::Outcome;
pub use remuda_liveness::{Policy, Settings};
pub use trial::{Error, Scene, run};

/// The key of a node by its number: a digest, as keys look, and the number in its last bytes.
fn key(number: u32) -> NodeKey {
    let mut key = remuda_types::Digest::of(&number.to_be_bytes()).0;
    key[28..].copy_from_slice(&number.to_be_bytes());
    NodeKey(key)
}

/// The number in a key.
fn number(NodeKey(key): NodeKey) -> u32 {
    u32::from_be_bytes([key[28], key[29], key[30], key[31]])
}
