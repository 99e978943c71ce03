//! How long first tokens took lately.

use std::collections::VecDeque;

use remuda_types::Span;

/// First tokens that are remembered.
const MOST: usize = 256;
/// First tokens after which it is reckoned anew what is slow.
const EVERY: u32 = 16;
/// Of every hundred so many are not slow.
const PERCENT: usize = 95;

/// The last first tokens: how long each took, and how many tokens were to be read before it.
#[derive(Clone, Debug, Default)]
pub(super) struct Recent {
    all: VecDeque<(Span, u64)>,
    tokens: u64,
    slow: Span,
    since_reckoned: u32,
}

impl Recent {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn record(&mut self, span: Span, tokens: u64) {
        // So that the sum of those remembered cannot overflow.
        let tokens = tokens.min(u64::from(u32::MAX));
        self.all.push_back((span, tokens));
        self.tokens += tokens;
        if self.all.len() > MOST {
            self.tokens -= self.all.pop_front().map_or(0, |(_, tokens)| tokens);
        }
        self.since_reckoned += 1;
        if self.since_reckoned >= EVERY || self.all.len() < MOST {
            self.reckon();
        }
    }

    fn reckon(&mut self) {
        let mut spans: Vec<Span> = self.all.iter().map(|(span, _)| *span).collect();
        spans.sort_unstable();
        let at = (spans.len() * PERCENT / 100).min(spans.len().saturating_sub(1));
        self.slow = spans.get(at).copied().unwrap_or(Span::ZERO);
        self.since_reckoned = 0;
    }

    /// What would be slow for so many tokens: as many times longer as they are more than usual.
    pub(super) fn slow_for(&self, tokens: u64) -> Option<Span> {
        let count = u64::try_from(self.all.len())
            .ok()
            .filter(|count| *count > 0)?;
        let usual = (self.tokens / count).max(1);
        let slow = u128::from(self.slow.as_millis());
        let scaled = slow * u128::from(tokens.max(usual)) / u128::from(usual);
        Some(Span::from_millis(u64::try_from(scaled).unwrap_or(u64::MAX)))
    }
}
