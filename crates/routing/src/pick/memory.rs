//! What a replica is believed to have in its cache: the chains of blocks of what was sent there and
//! of what came back, and how far the sessions had come that it served.
//!
//! A belief only: other gateways send there as well, and the replica drops what it likes. A wrong one
//! costs a prefill that another replica might have spared.

use std::sync::Arc;

use super::lru::{Lru, Stamp};
use super::wish::{Session, Wish};
use crate::prefix::{BLOCK_TOKENS, Block};

/// By what part of itself the memory becomes shorter when a belief was false.
const SHORTER: usize = 16;
/// By how many blocks it becomes longer when one was true.
const LONGER: usize = 2;
/// The shortest is this part of the longest.
const SHORTEST: usize = 32;

/// The memory of one replica. Of every chain that it knows it knows the beginning: blocks are touched
/// from the last to the first, so the last go first.
///
/// How much there is room for is learned from what replicas find: a block that was believed to be
/// there and was not says that the cache is smaller, or shared with more, than was thought.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    blocks_most: usize,
    blocks: Lru<Block, ()>,
    sessions: Lru<Session, u32>,
}

/// What a request made the memory believe: it is taken back when the replica never read the prompt.
#[derive(Clone, Debug)]
pub(super) struct Belief {
    chain: Arc<[Block]>,
    /// How many of the blocks were known before.
    known: usize,
    cached_tokens: u32,
    /// When the first was touched; each later block that there was room for was touched before.
    first: Option<Stamp>,
}

impl Belief {
    /// Tokens of the prompt that were believed to be there.
    pub(super) const fn cached_tokens(&self) -> u32 {
        self.cached_tokens
    }
}

impl Memory {
    pub(super) fn new(blocks_most: usize, sessions_most: usize) -> Self {
        Self {
            blocks_most,
            blocks: Lru::new(blocks_most),
            sessions: Lru::new(sessions_most),
        }
    }

    /// How much it remembers, in blocks.
    pub(super) fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Tokens of the prompt that the replica is believed to have; never all, for the last is always
    /// read anew.
    pub(super) fn cached_tokens(&self, wish: &Wish) -> u32 {
        let blocks = self
            .known(wish.prefix.blocks())
            .saturating_mul(BLOCK_TOKENS);
        let of_blocks = u32::try_from(blocks).unwrap_or(u32::MAX);
        let session = wish.session.and_then(|session| self.sessions.get(&session));
        let of_session = session.copied().unwrap_or(0);
        let most = wish.prompt_tokens.saturating_sub(1);
        of_blocks.max(of_session).min(most)
    }

    /// How many blocks of the chain it knows: where it knows one it knows all before.
    fn known(&self, chain: &[Block]) -> usize {
        chain.partition_point(|block| self.blocks.get(block).is_some())
    }

    /// The request has been sent to the replica.
    pub(super) fn sent(&mut self, wish: &Wish) -> Belief {
        let cached_tokens = self.cached_tokens(wish);
        if let Some(session) = wish.session {
            self.sessions.put(session, wish.prompt_tokens);
        }
        let chain = wish.prefix.shared();
        let known = self.known(&chain);
        let first = self.touch(&chain);
        Belief {
            chain,
            known,
            cached_tokens,
            first,
        }
    }

    /// Remembers the chain, or as much of it as there is room for; when its first block was touched.
    fn touch(&mut self, chain: &[Block]) -> Option<Stamp> {
        let fitting = &chain[..chain.len().min(self.blocks.most())];
        let touched = fitting
            .iter()
            .rev()
            .map(|block| self.blocks.put(*block, ()));
        touched.last()
    }

    /// The replica has all of the chain in its cache.
    pub(super) fn holds(&mut self, chain: &[Block]) {
        self.touch(chain);
    }

    /// The replica has found so many tokens of a prompt in its cache, and so many were believed to be
    /// there. Disappointment makes the memory shorter at once, confirmation longer by and by.
    pub(super) fn found(&mut self, believed: u32, found: u32) {
        let block = u32::try_from(BLOCK_TOKENS).unwrap_or(u32::MAX);
        let most = self.blocks.most();
        if found.saturating_add(block) < believed {
            let least = (self.blocks_most / SHORTEST).min(most);
            self.blocks.bound((most - most / SHORTER).max(least));
        } else if believed >= block {
            let longer = most.saturating_add(LONGER);
            self.blocks.bound(longer.min(self.blocks_most));
        }
    }

    /// Takes back what the replica never read, but for blocks that were sent there again since; with
    /// these all before them were.
    pub(super) fn take_back(&mut self, belief: &Belief) {
        let Some(mut stamp) = belief.first else {
            return;
        };
        for (at, block) in belief.chain.iter().enumerate() {
            if at >= belief.known {
                self.blocks.take_back(block, stamp);
            }
            stamp = stamp.before();
        }
    }

    /// The replica has lost its cache.
    pub(super) fn clear(&mut self) {
        self.blocks.clear();
        self.sessions.clear();
    }

    pub(super) fn is_bounded(&self) -> bool {
        self.blocks.is_bounded() && self.sessions.is_bounded()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prefix::Prefix;
    use proptest::prelude::*;

    /// A prompt of whole blocks, each of one token repeated.
    fn wish(parts: &[u32]) -> Wish {
        let tokens: Vec<u32> = parts
            .iter()
            .flat_map(|&part| [part; BLOCK_TOKENS])
            .collect();
        let mut wish = Wish::of_prompt(&tokens);
        wish.prompt_tokens += 1;
        wish
    }

    fn blocks(memory: &Memory, parts: &[u32]) -> u32 {
        memory.cached_tokens(&wish(parts)) / 64
    }

    #[test]
    fn what_was_sent_is_remembered_and_its_end_forgotten_first() {
        let mut memory = Memory::new(5, 1);
        memory.sent(&wish(&[1, 2, 3]));
        assert_eq!(blocks(&memory, &[1, 2, 4]), 2);
        memory.sent(&wish(&[1, 7, 8, 9]));
        assert_eq!(
            blocks(&memory, &[1, 2, 3]),
            2,
            "[1, 2] and [1, 7, 8, 9] are five"
        );
        memory.sent(&wish(&[5]));
        assert_eq!(blocks(&memory, &[1, 2, 3]), 1);
        assert_eq!(blocks(&memory, &[1, 7, 8, 9]), 4);
    }

    #[test]
    fn the_last_token_is_read_anew() {
        let mut memory = Memory::new(5, 1);
        let whole = Wish::of_prompt(&[3; 128]);
        memory.sent(&whole);
        assert_eq!(memory.cached_tokens(&whole), 127);
    }

    #[test]
    fn what_was_never_read_is_taken_back_but_not_what_others_sent() {
        let mut memory = Memory::new(9, 1);
        memory.sent(&wish(&[1]));
        let unread = memory.sent(&wish(&[1, 2, 3, 4]));
        memory.sent(&wish(&[1, 2]));
        memory.take_back(&unread);
        assert_eq!(blocks(&memory, &[1, 2, 3, 4]), 2);
    }

    #[test]
    fn how_much_a_cache_holds_is_learned() {
        let mut memory = Memory::new(640, 1);
        (0..500).for_each(|_| memory.found(640, 0));
        assert_eq!(memory.blocks.most(), 20, "the shortest");
        memory.found(640, 576);
        assert_eq!(
            memory.blocks.most(),
            22,
            "a part of a block makes no difference"
        );
        memory.found(0, 0);
        assert_eq!(
            memory.blocks.most(),
            22,
            "who expects nothing learns nothing"
        );
        (0..500).for_each(|_| memory.found(640, 640));
        assert_eq!(memory.blocks.most(), 640);
    }

    #[test]
    fn a_session_is_believed_where_it_was_served_last() {
        let mut memory = Memory::new(0, 2);
        let session = Some(Session::named(b"chat"));
        let turn = |prompt_tokens| Wish {
            prompt_tokens,
            session,
            ..Wish::default()
        };
        memory.sent(&turn(900));
        assert_eq!(memory.cached_tokens(&turn(1_000)), 900);
        assert_eq!(memory.cached_tokens(&turn(500)), 499);
        memory.clear();
        assert_eq!(memory.cached_tokens(&turn(1_000)), 0);
    }

    proptest! {
        /// What lookups by halving rest on, whatever is sent, taken back and held.
        #[test]
        fn who_knows_a_block_knows_all_before_it(
            most in 0_usize..12,
            steps in proptest::collection::vec((proptest::collection::vec(0_u32..3, 0..6), 0_u8..5, any::<usize>()), 0..60),
        ) {
            let mut memory = Memory::new(most, 1);
            let (mut beliefs, mut chains) = (Vec::new(), Vec::new());
            for (parts, kind, which) in steps {
                let wish = wish(&parts);
                chains.push(wish.prefix.clone());
                match kind {
                    0 | 1 => beliefs.push(memory.sent(&wish)),
                    2 => memory.holds(wish.prefix.blocks()),
                    3 => memory.found(640, u32::from(which % 3 == 0) * 640),
                    _ if beliefs.is_empty() => {}
                    _ => {
                        let at = which % beliefs.len();
                        memory.take_back(&beliefs.swap_remove(at));
                    }
                }
                prop_assert!(memory.is_bounded());
                let held = |chain: &Prefix| {
                    let held = chain.blocks().iter().map(|block| memory.blocks.get(block).is_some());
                    held.collect::<Vec<_>>()
                };
                prop_assert!(chains.iter().map(held).all(|held| held.is_sorted_by(|a, b| a >= b)));
            }
        }
    }
}
