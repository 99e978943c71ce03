//! When a site has failed, and when two fail together.

use minicbor::{Decode, Encode};
use remuda_placement::Rule;
use remuda_types::Span;

/// Parameters of what is learned of sites that fail together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct Kin {
    /// Nodes lost within this of each other are one failure of their site, and failures of sites
    /// that begin within it are joint.
    #[n(0)]
    #[serde(rename = "kin_window")]
    pub window: Span,
    /// After so long a failure counts half.
    #[n(1)]
    #[serde(rename = "kin_half_life")]
    pub half_life: Span,
    /// Sites that fail together so many thousandths of times as often as by chance are kin:
    /// replicas that are to be apart keep off both of them where they can. At 0 nobody is.
    #[n(2)]
    #[serde(rename = "kin_lift_milli")]
    pub lift_milli: u32,
    /// A site has failed when so many thousandths of its nodes that had a session are lost.
    #[n(3)]
    #[serde(rename = "site_failed_milli")]
    pub site_failed_milli: u32,
}

impl Default for Kin {
    fn default() -> Self {
        Self {
            window: Span::from_secs(10 * 60),
            half_life: Span::from_secs(365 * 86_400),
            lift_milli: 20_000,
            site_failed_milli: 500,
        }
    }
}

impl Kin {
    /// What placement's estimate goes by.
    pub const fn rule(&self) -> Rule {
        Rule {
            window: self.window,
            half_life: self.half_life,
            lift_milli: self.lift_milli,
        }
    }
}
