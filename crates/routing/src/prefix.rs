//! What prompts have in common: a prompt's tokens as a chain of blocks, each named by a hash of its
//! tokens and of all before them. Two prompts that share their first n blocks share n names, and a
//! name at place n says that everything before is equal as well.
//!
//! The hash is quick (a prompt of 100,000 tokens takes some tens of microseconds), the same in every
//! process of one build, and not a cryptographic one: names are compared within one model's replicas
//! only, and two contents that had one name would cost a cache miss, never a wrong word.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use foldhash::quality::FixedState;

/// Tokens in a block; what is left over at the end of a prompt has no name.
pub const BLOCK_TOKENS: usize = 64;

/// What the first block is chained to.
const ROOT: u64 = 0x7265_6d75_6461;

/// The name of a block, which is that of everything up to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Block(u64);

/// The tokens of a prompt, or of a prompt and what was generated after it. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prefix {
    blocks: Arc<[Block]>,
    /// The tokens behind the last whole block.
    rest: Vec<u32>,
}

impl Prefix {
    /// The prefix that these tokens are.
    pub fn of(tokens: &[u32]) -> Self {
        Self::default().then(tokens)
    }

    /// This, followed by more tokens: what a replica's cache holds when it has generated them, and
    /// what the next turn of a chat begins with.
    #[must_use]
    pub fn then(&self, tokens: &[u32]) -> Self {
        let joined;
        let open = if self.rest.is_empty() {
            tokens
        } else {
            joined = [&self.rest, tokens].concat();
            &joined
        };
        let mut last = self.blocks.last().copied().unwrap_or(Block(ROOT));
        let whole = open.chunks_exact(BLOCK_TOKENS);
        let rest = whole.remainder().to_vec();
        let more = whole.map(|tokens| {
            last = last.then(tokens);
            last
        });
        Self {
            blocks: self.blocks.iter().copied().chain(more).collect(),
            rest,
        }
    }

    /// How many tokens they are.
    pub fn tokens(&self) -> usize {
        self.blocks.len() * BLOCK_TOKENS + self.rest.len()
    }

    /// The names of its whole blocks, in order.
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// The same names, to be kept elsewhere.
    pub(crate) fn shared(&self) -> Arc<[Block]> {
        Arc::clone(&self.blocks)
    }
}

impl Block {
    /// The block of these tokens behind this one.
    fn then(self, tokens: &[u32]) -> Self {
        let mut hasher = FixedState::with_seed(self.0).build_hasher();
        for pair in tokens.chunks(2) {
            let word = pair.iter().rev();
            hasher.write_u64(word.fold(0, |word, &token| word << 32 | u64::from(token)));
        }
        Self(hasher.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tokens(count: usize) -> Vec<u32> {
        (0..).map(|n: u32| n.wrapping_mul(7)).take(count).collect()
    }

    #[test]
    fn only_whole_blocks_have_names() {
        for (count, blocks) in [(0, 0), (63, 0), (64, 1), (127, 1), (6_400, 100)] {
            let prefix = Prefix::of(&tokens(count));
            assert_eq!((prefix.tokens(), prefix.blocks().len()), (count, blocks));
        }
    }

    /// Two gateways of one build name alike, today and after a restart.
    #[test]
    fn names_are_the_same_in_every_process() {
        let names = [0xada7_eb3e_e4c5_2f66, 0x3f71_7a2b_f7bb_1c13].map(Block);
        assert_eq!(Prefix::of(&tokens(128)).blocks(), names);
    }

    #[test]
    fn the_order_of_tokens_and_of_blocks_counts() {
        let [a, b] = [[1; BLOCK_TOKENS], [2; BLOCK_TOKENS]];
        let of = |parts: [[u32; BLOCK_TOKENS]; 2]| Prefix::of(&parts.concat()).blocks().to_vec();
        let names = [of([a, b]), of([b, a]), of([a, a]), of([b, b])].concat();
        let mut distinct = names.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), 6, "a and b first are two of eight names");
        let mut swapped = a;
        (swapped[0], swapped[1]) = (5, 6);
        let mut other = a;
        (other[0], other[1]) = (6, 5);
        assert_ne!(Prefix::of(&swapped), Prefix::of(&other));
    }

    proptest! {
        #[test]
        fn prompts_share_the_names_of_what_they_share_and_no_more(
            shared in 0_usize..400, left in 1_usize..200, right in 1_usize..200,
        ) {
            let one = [tokens(shared), vec![1; left]].concat();
            let two = [tokens(shared), vec![2; right]].concat();
            let (one, two) = (Prefix::of(&one), Prefix::of(&two));
            let same = one.blocks().iter().zip(two.blocks()).take_while(|(a, b)| a == b).count();
            prop_assert_eq!(same, shared / BLOCK_TOKENS);
        }

        #[test]
        fn piece_by_piece_is_as_at_once(parts in proptest::collection::vec(proptest::collection::vec(any::<u32>(), 0..150), 0..6)) {
            let grown = parts.iter().fold(Prefix::default(), |prefix, part| prefix.then(part));
            prop_assert_eq!(grown, Prefix::of(&parts.concat()));
        }
    }
}
