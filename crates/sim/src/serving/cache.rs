//! What a replica has in its cache, in truth: blocks of 16 tokens, each named by its content and all
//! before it. When it is full the block goes that was not touched for longest, of a sequence the last
//! first.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hasher};

/// Tokens in a block.
pub(super) const BLOCK: u32 = 16;

/// The cache of one replica. The map from blocks is never listed, so its order does not matter.
#[derive(Debug, Default)]
pub(super) struct Cache {
    most: usize,
    touches: u64,
    touched: HashMap<u64, u64>,
    oldest: BTreeMap<u64, u64>,
}

/// The names of these tokens' whole blocks. Not the balancer's names: who checks them makes their own.
pub(super) fn chain(tokens: impl Iterator<Item = u32>) -> Vec<u64> {
    let mut hasher = DefaultHasher::new();
    let mut names = Vec::new();
    for (at, token) in (1_u32..).zip(tokens) {
        hasher.write_u32(token);
        if at.is_multiple_of(BLOCK) {
            names.push(hasher.finish());
        }
    }
    names
}

impl Cache {
    pub(super) fn new(tokens: u32) -> Self {
        Self {
            most: (tokens / BLOCK) as usize,
            ..Self::default()
        }
    }

    /// How many tokens of the chain are there, from its beginning.
    pub(super) fn found(&self, chain: &[u64]) -> u32 {
        let there = |block: &&u64| self.touched.contains_key(*block);
        let blocks = chain.iter().take_while(there).count();
        u32::try_from(blocks)
            .unwrap_or(u32::MAX)
            .saturating_mul(BLOCK)
    }

    /// The chain has been read or written.
    pub(super) fn keep(&mut self, chain: &[u64]) {
        let fitting = chain.len().min(self.most);
        chain[..fitting]
            .iter()
            .rev()
            .for_each(|block| self.touch(*block));
        while self.touched.len() > self.most {
            let gone = self.oldest.pop_first().map(|(_, block)| block);
            gone.map(|block| self.touched.remove(&block));
        }
    }

    fn touch(&mut self, block: u64) {
        self.touches += 1;
        if let Some(before) = self.touched.insert(block, self.touches) {
            self.oldest.remove(&before);
        }
        self.oldest.insert(self.touches, block);
    }
}
