//! The smallest question there is: are you there? Answered by the node daemon itself.

use minicbor::{Decode, Encode};

/// A probe; the answer carries the same nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Ping {
    /// Chosen by the asker.
    #[n(0)]
    pub nonce: u64,
}
