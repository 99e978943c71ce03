//! Chance, drawn from the seed. Each purpose has a stream of its own, so that drawing more for one
//! leaves the others as they were: a scenario with another fault has the same tenants.

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Exp1, LogNormal};
use remuda_types::Span;

/// What something is drawn for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Weather = 1,
    Machines = 2,
    Wires = 3,
    Tenants = 4,
    Disk = 5,
    Gateways = 6,
    Bookings = 7,
    Clocks = 8,
}

/// One stream of chance.
#[derive(Debug)]
pub(crate) struct Dice(ChaCha8Rng);

impl Dice {
    pub(crate) fn new(seed: u64, purpose: Purpose) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(purpose as u64);
        Self(rng)
    }

    /// Whether something befalls that does with this probability.
    pub(crate) fn falls(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.0.random::<f64>() < probability
    }

    /// A number below `bound`; zero where there is none.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        if bound == 0 {
            return 0;
        }
        self.0.random_range(0..bound)
    }

    /// A length of time up to `most`, all alike.
    pub(crate) fn up_to(&mut self, most: Span) -> Span {
        Span::from_millis(self.0.random_range(0..=most.as_millis()))
    }

    /// Until the next of things that come by themselves every `mean` on average.
    pub(crate) fn wait(&mut self, mean: Span) -> Span {
        let factor: f64 = Exp1.sample(&mut self.0);
        scaled(mean, factor)
    }

    /// A length of time whose logarithm is normal, half of them under `median`.
    pub(crate) fn around(&mut self, median: Span, sigma: f64) -> Span {
        let factor = LogNormal::new(0.0, sigma).map_or(1.0, |law| law.sample(&mut self.0));
        scaled(median, factor)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a float that is too large saturates: later than anything that will happen"
)]
fn scaled(span: Span, factor: f64) -> Span {
    Span::from_millis((span.as_millis() as f64 * factor) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_and_are_the_same_for_a_seed() {
        let draw = |seed, purpose| Dice::new(seed, purpose).up_to(Span::DAY);
        assert_eq!(draw(1, Purpose::Wires), draw(1, Purpose::Wires));
        assert_ne!(draw(1, Purpose::Wires), draw(1, Purpose::Disk));
        assert_ne!(draw(1, Purpose::Wires), draw(2, Purpose::Wires));
    }

    #[test]
    fn waits_have_their_mean_and_lengths_their_median() {
        let mut dice = Dice::new(7, Purpose::Weather);
        let waits = (0..20_000).map(|_| dice.wait(Span::HOUR).as_millis());
        let mean = waits.sum::<u64>() / 20_000;
        assert!((3_500_000..3_700_000).contains(&mean), "{mean}");
        let mut lengths: Vec<_> = (0..20_001).map(|_| dice.around(Span::HOUR, 0.8)).collect();
        lengths.sort_unstable();
        let median = lengths[10_000].as_millis();
        assert!((3_500_000..3_700_000).contains(&median), "{median}");
        assert!(!dice.falls(0.0) && dice.falls(1.0));
    }
}
