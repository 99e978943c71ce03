//! When and for how much a purse asks.

use remuda_types::{Money, Span};

/// How a purse asks for money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The least to ask for, and the first.
    pub least: Money,
    /// The most to ask for: what a gateway may lock of a budget at once, and so also the dearest
    /// single request.
    pub most: Money,
    /// Ask for more when under this many hundredths of the last tranche are left.
    pub low_water_percent: u32,
    /// Ask for the next tranche this long before the current one stops (at most a quarter of its
    /// life, so that the short tranches of a test network work too).
    pub lead: Span,
    /// Nothing new starts this close to the deadline, so that what runs can still be posted (at
    /// most a quarter of the tranche's life).
    pub last_start: Span,
    /// Ask again (for the same tranche) when control has not answered for this long.
    pub ask_again: Span,
    /// After control said that the budget is spent, or gave nothing of use, ask anew no sooner.
    pub after_denial: Span,
    /// A project keeps a tranche for this long after its last request, so that the next is served
    /// even while control is down. One without traffic locks nothing of its budget.
    pub keep_ready: Span,
    /// The pace at which a slow model writes, to reckon how long a request may last.
    pub slow_tokens_per_second: u32,
    /// No request is reckoned to last longer.
    pub longest: Span,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            least: Money::from_micros(1_000_000),
            most: Money::from_micros(100_000_000),
            low_water_percent: 25,
            lead: Span::from_secs(300),
            last_start: Span::from_secs(120),
            ask_again: Span::from_secs(2),
            after_denial: Span::from_secs(10),
            keep_ready: Span::HOUR,
            slow_tokens_per_second: 10,
            longest: Span::from_secs(900),
        }
    }
}

impl Policy {
    /// How long a request for so many tokens may last on a slow model.
    pub fn lasts(&self, max_tokens: u32) -> Span {
        let seconds = max_tokens / self.slow_tokens_per_second.max(1);
        Span::from_secs(seconds.into()).min(self.longest)
    }
}
