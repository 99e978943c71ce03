//! Which slot a request gets: the free one whose cache shares the longest prefix with it.

/// What a free slot still holds, and when it was freed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cache {
    /// The tokens whose keys and values are in the slot's cells, from position 0.
    pub(crate) tokens: Vec<u32>,
    /// A counter; higher is later.
    pub(crate) freed: u64,
}

/// A free slot as seen by [`pick`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Free<'a> {
    pub(crate) slot: usize,
    pub(crate) cache: &'a Cache,
    /// llama.cpp computes sequences together only if their numbers follow one another.
    pub(crate) beside_busy: bool,
}

/// The slot for `wanted`, and how many of its tokens need not be evaluated: never all, because the
/// last one's logits are needed. Of equals, one beside a busy slot, then the longest unused.
pub(crate) fn pick<'a>(
    free: impl Iterator<Item = Free<'a>>,
    wanted: &[u32],
) -> Option<(usize, usize)> {
    let most = wanted.len().saturating_sub(1);
    free.map(|free| (shared_prefix(&free.cache.tokens, wanted).min(most), free))
        .max_by_key(|(shared, free)| {
            let earliest = std::cmp::Reverse((free.cache.freed, free.slot));
            (*shared, free.beside_busy, earliest)
        })
        .map(|(shared, free)| (free.slot, shared))
}

fn shared_prefix(cached: &[u32], wanted: &[u32]) -> usize {
    cached
        .iter()
        .zip(wanted)
        .take_while(|(a, b)| a == b)
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pick_from(caches: &[Cache], busy: &[usize], wanted: &[u32]) -> Option<(usize, usize)> {
        let free = caches
            .iter()
            .enumerate()
            .filter(|(slot, _)| !busy.contains(slot));
        let free = free.map(|(slot, cache)| Free {
            slot,
            cache,
            beside_busy: busy.iter().any(|b| b.abs_diff(slot) == 1),
        });
        pick(free, wanted)
    }

    fn cache(tokens: &[u32], freed: u64) -> Cache {
        Cache {
            tokens: tokens.to_vec(),
            freed,
        }
    }

    #[test]
    fn the_longest_prefix_wins_then_neighbours_then_the_longest_unused() {
        let caches = [
            cache(&[1, 2], 9),
            cache(&[1, 2, 3], 8),
            cache(&[], 7),
            cache(&[9], 6),
        ];
        assert_eq!(pick_from(&caches, &[], &[1, 2, 3, 4]), Some((1, 3)));
        assert_eq!(
            pick_from(&caches, &[], &[1, 2, 3]),
            Some((1, 2)),
            "the last is evaluated"
        );
        assert_eq!(pick_from(&caches, &[], &[5]), Some((3, 0)));
        assert_eq!(pick_from(&caches, &[1], &[5]), Some((2, 0)));
        assert_eq!(pick_from(&caches, &[0, 1, 2, 3], &[5]), None);
    }

    proptest! {
        #[test]
        fn what_is_reused_is_a_prefix_and_the_longest(
            caches in proptest::collection::vec(proptest::collection::vec(0_u32..3, 0..8), 1..5),
            wanted in proptest::collection::vec(0_u32..3, 1..8),
        ) {
            let caches: Vec<Cache> = caches.iter().map(|tokens| cache(tokens, 0)).collect();
            let (slot, reused) = pick_from(&caches, &[], &wanted).unwrap();
            prop_assert!(reused < wanted.len());
            prop_assert_eq!(&caches[slot].tokens[..reused], &wanted[..reused]);
            let longest = caches.iter().map(|c| shared_prefix(&c.tokens, &wanted)).max();
            prop_assert_eq!(Some(reused), longest.map(|l| l.min(wanted.len() - 1)));
        }
    }
}
