//! When replicas are moved to where they would be put today.

use minicbor::{Decode, Encode};
use remuda_placement::Scales;
use remuda_types::{Money, Price, Span};

/// Parameters of repacking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct Repack {
    /// Between looks for replicas that would gain from a move; zero is never.
    #[n(0)]
    #[serde(rename = "repack_every")]
    pub every: Span,
    /// For so long a replica is believed to stay: what it saves in that time is the gain.
    #[n(1)]
    #[serde(rename = "repack_horizon")]
    pub horizon: Span,
    /// So many replicas are moved at once at most.
    #[n(2)]
    #[serde(rename = "repack_moves")]
    pub moves: u32,
    /// So many leases are looked at each time, in turn.
    #[n(3)]
    #[serde(rename = "repack_look")]
    pub look: u32,
    /// What it is worth by the hour that a GPU of a node that is empty again can be had together
    /// with the node's others.
    #[n(4)]
    #[serde(rename = "repack_emptied")]
    pub emptied: Money,
}

impl Default for Repack {
    fn default() -> Self {
        Self {
            every: Span::ZERO,
            horizon: Span::from_secs(7 * 86_400),
            moves: 4,
            look: 200,
            emptied: Money::from_micros(1_000),
        }
    }
}

impl Repack {
    /// What placement weighs moves by, where one costs this.
    pub fn scales(&self, move_price: Money) -> Scales {
        let emptied = u64::try_from(self.emptied.as_micros()).unwrap_or_default();
        Scales {
            moves: self.moves as usize,
            move_price,
            horizon: self.horizon,
            emptied: Price::from_micros_per_hour(emptied),
        }
    }
}
