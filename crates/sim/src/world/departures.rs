//! Who leaves, one after another, drawn from a seed.

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

/// Draws who leaves.
#[derive(Debug)]
pub struct Departures {
    rng: ChaCha8Rng,
}

impl Departures {
    /// Departures that are the same for a seed.
    pub fn new(seed: u64) -> Self {
        Self {
            rng: ChaCha8Rng::seed_from_u64(seed ^ 0x6c65_6176),
        }
    }

    /// Takes one out of those that are there, if any are; each is as likely as the others.
    pub fn draw<T>(&mut self, there: &mut Vec<T>) -> Option<T> {
        if there.is_empty() {
            return None;
        }
        let which = self.rng.random_range(0..there.len());
        Some(there.swap_remove(which))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_leave_in_an_order_that_the_seed_says() {
        let order = |seed| {
            let (mut departures, mut there) = (Departures::new(seed), (0..50).collect());
            std::iter::from_fn(|| departures.draw::<u32>(&mut there)).collect::<Vec<_>>()
        };
        let drawn = order(1);
        let mut sorted = drawn.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..50).collect::<Vec<_>>());
        assert_ne!(drawn, sorted);
        assert_eq!(order(1), drawn);
        assert_ne!(order(2), drawn);
    }
}
