//! One owner of much: by default most providers have a site, and a few have two.

use std::collections::BTreeMap;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use remuda_types::ProviderId;

use super::World;

impl World {
    /// Has one provider own this share of all GPUs: providers are drawn, those that are `taken` left
    /// out, until they have it together, and what they have becomes the first one's. Which one; none
    /// where nobody is left.
    pub fn unite(&mut self, seed: u64, share: f64, taken: &[ProviderId]) -> Option<ProviderId> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x6f77_6e65_7273);
        let mut owned: BTreeMap<ProviderId, u64> = BTreeMap::new();
        for offer in &self.offers {
            *owned.entry(offer.provider).or_default() += u64::from(offer.capacity.gpus);
        }
        owned.retain(|provider, _| !taken.contains(provider));
        let mut left: Vec<_> = owned.into_iter().collect();
        let (mut united, mut sum) = (Vec::new(), 0);
        while !left.is_empty() && (united.is_empty() || part(sum, self.gpus) < share) {
            let (provider, gpus) = left.swap_remove(rng.random_range(0..left.len()));
            united.push(provider);
            sum += gpus;
        }
        let first = *united.first()?;
        for offer in &mut self.offers {
            if united.contains(&offer.provider) {
                offer.provider = first;
            }
        }
        Some(first)
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "GPUs of one world, far below 2^52"
)]
fn part(gpus: u64, all: u64) -> f64 {
    gpus as f64 / all.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gpus_of(world: &World, provider: ProviderId) -> u64 {
        let theirs = world.offers.iter().filter(|of| of.provider == provider);
        theirs.map(|of| u64::from(of.capacity.gpus)).sum()
    }

    #[test]
    fn one_provider_has_its_share_over_several_sites() {
        let mut world = World::of_sites(3, 20_000, 200);
        let before = world.clone();
        let first = world.unite(3, 0.1, &[]).unwrap();
        let share = part(gpus_of(&world, first), world.gpus);
        assert!((0.1..0.2).contains(&share), "{share}");
        let theirs = world.offers.iter().filter(|of| of.provider == first);
        let sites: std::collections::BTreeSet<_> = theirs.map(|of| of.site).collect();
        assert!(sites.len() > 5, "{sites:?}");
        for (is, was) in world.offers.iter().zip(&before.offers) {
            assert!(is.provider == was.provider || is.provider == first);
            assert_eq!((is.node, is.site), (was.node, was.site));
        }
        let second = world.unite(3, 0.1, &[first]).unwrap();
        assert!(second != first && part(gpus_of(&world, first), world.gpus) >= share);
        let everybody: Vec<_> = world.offers.iter().map(|of| of.provider).collect();
        assert_eq!(world.unite(3, 0.1, &everybody), None);
    }
}
