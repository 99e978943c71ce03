//! A wire round the world that loses and delays.

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, LogNormal};
use remuda_liveness::Vantage;
use remuda_types::Span;

/// One way to a node, half of them: within a continent less, across an ocean more.
const DISTANCE_MEDIAN_MS: f64 = 35.0;
const DISTANCE_SIGMA: f64 = 0.7;
/// The farthest.
const DISTANCE_MAX_MS: f64 = 150.0;
/// One way from control to a gateway.
const GATEWAY_MS: f64 = 20.0;
/// What each message takes more, half of them; one in a hundred ten times that.
const JITTER_MEDIAN_MS: f64 = 2.0;
const JITTER_SIGMA: f64 = 1.0;
/// The slowest message that still comes.
const DELAY_MAX_MS: f64 = 300.0;

/// The wire, and the chance in it.
#[derive(Debug)]
pub(super) struct Wire {
    rng: ChaCha8Rng,
    loss: f64,
    jitter: Option<LogNormal<f64>>,
    /// One way to each node, in milliseconds.
    distances: Vec<f64>,
}

impl Wire {
    /// A wire to so many nodes that loses each message with this chance.
    pub(super) fn draw(seed: u64, nodes: u32, loss: f64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let distance = LogNormal::new(DISTANCE_MEDIAN_MS.ln(), DISTANCE_SIGMA).ok();
        let mut drawn = || distance.map_or(DISTANCE_MEDIAN_MS, |far| far.sample(&mut rng));
        Self {
            distances: (0..nodes).map(|_| drawn().min(DISTANCE_MAX_MS)).collect(),
            jitter: LogNormal::new(JITTER_MEDIAN_MS.ln(), JITTER_SIGMA).ok(),
            loss,
            rng,
        }
    }

    /// How long a message takes from a vantage point to a node, or back; nothing when it is lost.
    /// What a gateway asks it was asked for by control, and what it learns it tells.
    pub(super) fn carry(&mut self, node: u32, vantage: Vantage) -> Option<Span> {
        let distance = self.distances.get(node as usize).copied();
        let last = self.leg(distance.unwrap_or_default())?;
        let delay = match vantage {
            Vantage::Control => last,
            Vantage::Gateway => last + self.leg(GATEWAY_MS)?,
        };
        Some(millis(delay))
    }

    fn leg(&mut self, distance_ms: f64) -> Option<f64> {
        if self.rng.random::<f64>() < self.loss {
            return None;
        }
        let jitter = self
            .jitter
            .map_or(0.0, |jitter| jitter.sample(&mut self.rng));
        Some((distance_ms + jitter).min(DELAY_MAX_MS))
    }

    /// Something below `end`, in milliseconds.
    pub(super) fn moment(&mut self, end: Span) -> Span {
        Span::from_millis(self.rng.random_range(0..end.as_millis().max(1)))
    }

    /// One of the nodes.
    pub(super) fn node(&mut self) -> u32 {
        let nodes = u32::try_from(self.distances.len()).unwrap_or(u32::MAX);
        self.rng.random_range(0..nodes.max(1))
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a delay is positive and far below 2^52"
)]
fn millis(delay_ms: f64) -> Span {
    Span::from_millis(delay_ms.ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wire_loses_what_it_is_to_lose_and_delays_the_rest() {
        let mut wire = Wire::draw(1, 200, 0.1);
        let carried: Vec<_> = (0..20_000)
            .filter_map(|n| wire.carry(n % 200, Vantage::Control))
            .collect();
        // 18,000 of 20,000, give or take five deviations (42 each).
        assert!(
            (17_790..18_210).contains(&carried.len()),
            "{}",
            carried.len()
        );
        let slow = carried
            .iter()
            .filter(|d| **d > Span::from_millis(150))
            .count();
        assert!(slow > 0 && slow < carried.len() / 10, "{slow}");
        let bounds = Span::from_millis(1)..=Span::from_millis(300);
        assert!(carried.iter().all(|delay| bounds.contains(delay)));
        assert_eq!(Wire::draw(1, 5, 1.0).carry(0, Vantage::Control), None);
        // Two legs lose 19 in a hundred.
        let twice = (0..20_000)
            .filter_map(|n| wire.carry(n % 200, Vantage::Gateway))
            .count();
        assert!((15_920..16_480).contains(&twice), "{twice}");
    }
}
