//! What a stream is told before it starts.

use std::num::NonZeroU32;

use remuda_types::{Span, Time};

/// The request, as far as failover cares. The seed and the sampler travel with every dispatch and
/// decide nothing here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Tokens of the prompt.
    pub prompt_tokens: u32,
    /// The most tokens to generate.
    pub max_tokens: NonZeroU32,
    /// Whether a stream that has begun may go on elsewhere. Without it, only a request of which
    /// nothing was delivered is tried again.
    pub may_resume: bool,
}

/// How fast this model's tokens have been coming lately, over all its streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The usual time between tokens.
    pub typical: Span,
    /// The 99th percentile.
    pub p99: Span,
}

impl Default for Pace {
    /// What to assume of a model that nobody has asked yet.
    fn default() -> Self {
        Self {
            typical: Span::from_millis(50),
            p99: Span::from_millis(150),
        }
    }
}

/// How patient a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Times that a request may be sent anew after its replica failed.
    pub max_moves: usize,
    /// How long a replica may be looked for.
    pub dispatch_timeout: Span,
    /// How long the first token may take, besides prefill.
    pub first_token_timeout: Span,
    /// What prefill adds to that for each token of prompt and history, in microseconds.
    pub prefill_us_per_token: u64,
    /// A replica silent for this long, and for `stall_factor` × p99, has stalled.
    pub min_stall: Span,
    /// See `min_stall`.
    pub stall_factor: u64,
    /// A replica silent for this long, and for `probe_factor` × the usual gap, is probed.
    pub min_probe: Span,
    /// See `min_probe`.
    pub probe_factor: u64,
    /// An engine answers between two steps: it may take this many times its longest step.
    pub answer_factor: u64,
    /// The longest that an engine may take to answer a probe, and what one may take of which nothing
    /// is known.
    pub most_answer: Span,
    /// A replica whose engine answers its probes is given up all the same when its stream has been
    /// silent for this long beyond the usual limit.
    pub most_silence: Span,
    /// How long a stream waits for another replica before it asks again those to which the way
    /// broke. Doubles each time.
    pub least_return: Span,
    /// The longest such pause.
    pub most_return: Span,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            max_moves: 3,
            dispatch_timeout: Span::from_secs(30),
            first_token_timeout: Span::from_secs(10),
            prefill_us_per_token: 10_000,
            min_stall: Span::from_millis(1_500),
            stall_factor: 8,
            min_probe: Span::from_millis(250),
            probe_factor: 4,
            answer_factor: 2,
            most_answer: Span::from_millis(1_500),
            most_silence: Span::from_secs(120),
            least_return: Span::from_millis(500),
            most_return: Span::from_secs(2),
        }
    }
}

impl Policy {
    /// Silence after which a replica that has begun is given up.
    pub(super) fn stall(&self, pace: Pace) -> Span {
        longer(self.min_stall, pace.p99, self.stall_factor)
    }

    /// How long an engine may take to answer a probe whose longest step of late was this.
    pub fn answer_within(&self, longest: Option<Span>) -> Span {
        longest.map_or(self.most_answer, |step| {
            times(step, self.answer_factor).min(self.most_answer)
        })
    }

    /// The pause before those to which the way broke are asked again, after so many pauses.
    pub(super) fn return_pause(&self, returns: u32) -> Span {
        let factor = 1_u64.checked_shl(returns).unwrap_or(u64::MAX);
        times(self.least_return, factor).min(self.most_return)
    }

    /// Silence after which a replica is probed.
    pub(super) fn suspicion(&self, pace: Pace) -> Span {
        longer(self.min_probe, pace.typical, self.probe_factor)
    }
}

fn longer(least: Span, gap: Span, factor: u64) -> Span {
    times(gap, factor).max(least)
}

fn times(span: Span, factor: u64) -> Span {
    Span::from_millis(span.as_millis().saturating_mul(factor))
}

/// Whether `span` has passed since `since`.
pub(super) fn is_over(since: Time, span: Span, now: Time) -> bool {
    now >= since + span
}
