//! What a rule came to.

/// How long first tokens took, and how much was found in caches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// How long each first token took, from the request's arrival, ascending.
    first_tokens_ns: Vec<u64>,
    /// Tokens of all prompts.
    pub prompt_tokens: u64,
    /// Of these, those that were found in a cache.
    pub cached_tokens: u64,
}

impl Outcome {
    pub(super) fn first_token(&mut self, after_ns: u64) {
        self.first_tokens_ns.push(after_ns);
    }

    pub(super) fn sorted(mut self) -> Self {
        self.first_tokens_ns.sort_unstable();
        self
    }

    /// Requests that were answered.
    pub fn answered(&self) -> usize {
        self.first_tokens_ns.len()
    }

    /// How long first tokens took on average, in milliseconds.
    pub fn mean_ms(&self) -> f64 {
        let sum: u64 = self.first_tokens_ns.iter().sum();
        millis(sum) / float(self.first_tokens_ns.len().max(1) as u64)
    }

    /// How long so many of a hundred took at most, in milliseconds.
    pub fn percentile_ms(&self, percent: usize) -> f64 {
        let last = self.first_tokens_ns.len().saturating_sub(1);
        let at = (self.first_tokens_ns.len() * percent / 100).min(last);
        self.first_tokens_ns.get(at).copied().map_or(0.0, millis)
    }

    /// The share of the prompts' tokens that was found in a cache.
    pub fn cached_share(&self) -> f64 {
        float(self.cached_tokens) / float(self.prompt_tokens.max(1))
    }

    /// How many times longer first tokens took on average by the other rule.
    pub fn times_better_than(&self, other: &Self) -> f64 {
        other.mean_ms() / self.mean_ms().max(f64::MIN_POSITIVE)
    }
}

fn millis(ns: u64) -> f64 {
    float(ns) / 1e6
}

#[expect(clippy::cast_precision_loss, reason = "amounts far below 2^52")]
const fn float(amount: u64) -> f64 {
    amount as f64
}
