//! How fast a model's tokens come, over all its streams.

use std::time::Duration;

use hdrhistogram::Histogram;
use remuda_routing::stream::Pace;
use remuda_types::Span;

/// Gaps after which the pace is reckoned anew.
const EVERY: u64 = 64;

/// Gaps after which the old ones are forgotten.
const MOST: u64 = 4_096;

/// The longest gap that counts; longer ones are failures, not pace.
const LONGEST_MS: u64 = 60_000;

/// A histogram of gaps in milliseconds, and the pace it gave last.
#[derive(Debug)]
pub(super) struct Pacer {
    gaps: Option<Histogram<u32>>,
    pace: Pace,
}

impl Pacer {
    pub(super) fn new() -> Self {
        // Two digits are plenty, and these bounds are valid; without a histogram the default stands.
        Self {
            gaps: Histogram::new_with_bounds(1, LONGEST_MS, 2).ok(),
            pace: Pace::default(),
        }
    }

    pub(super) fn pace(&self) -> Pace {
        self.pace
    }

    /// A token came this long after the one before.
    pub(super) fn record(&mut self, gap: Duration) {
        let Some(gaps) = &mut self.gaps else { return };
        let millis = u64::try_from(gap.as_millis()).unwrap_or(LONGEST_MS);
        gaps.saturating_record(millis.clamp(1, LONGEST_MS));
        if gaps.len().is_multiple_of(EVERY) {
            let at = |quantile| Span::from_millis(gaps.value_at_quantile(quantile));
            self.pace = Pace {
                typical: at(0.5),
                p99: at(0.99),
            };
        }
        if gaps.len() >= MOST {
            gaps.reset();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_follows_what_is_measured() {
        let mut pacer = Pacer::new();
        assert_eq!(pacer.pace(), Pace::default());
        for _ in 0..MOST {
            pacer.record(Duration::from_millis(400));
        }
        assert_eq!(pacer.pace().typical.as_millis() / 10, 40);
        for _ in 0..EVERY {
            pacer.record(Duration::from_millis(2));
        }
        assert_eq!(pacer.pace().p99, Span::from_millis(2));
    }
}
