//! What a replica runs on.

/// How fast a replica is and how much it holds. The default is about what one consumer card of 24 GB
/// does with a model of 8 billion parameters in 4 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hardware {
    /// Sequences that run at once.
    pub slots: u32,
    /// What a step takes by itself: the weights are read once.
    pub step_ns: u64,
    /// What it takes more for each sequence that writes a token.
    pub write_ns: u64,
    /// What it takes more for each token of a prompt that is read.
    pub read_ns: u64,
    /// Tokens of prompts that are read in a step at most.
    pub chunk_tokens: u32,
    /// Tokens that the cache holds.
    pub cache_tokens: u32,
}

impl Default for Hardware {
    fn default() -> Self {
        Self {
            slots: 16,
            step_ns: 10_000_000,
            write_ns: 250_000,
            read_ns: 125_000,
            chunk_tokens: 2_048,
            cache_tokens: 131_072,
        }
    }
}

impl Hardware {
    /// What a request takes of a replica whose slots are all taken, if nothing of it is in the cache.
    pub(super) fn cold_ns(&self, prompt: u32, answer: u32) -> u64 {
        let slots = u64::from(self.slots.max(1));
        let written = u64::from(answer) * (self.step_ns / slots + self.write_ns);
        u64::from(prompt) * self.read_ns + written
    }

    /// What a step takes that reads and writes so many tokens.
    pub(super) fn step_takes(&self, read: u32, written: u32) -> u64 {
        self.step_ns + u64::from(read) * self.read_ns + u64::from(written) * self.write_ns
    }
}
