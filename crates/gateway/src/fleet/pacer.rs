//! How fast a model's tokens come, over all its streams.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use remuda_routing::stream::Pace;
use remuda_types::{LeaseId, Span};

/// Gaps after which the pace is reckoned anew.
const EVERY: u64 = 64;

/// Gaps after which the old ones are forgotten.
const MOST: u64 = 4_096;

/// The longest gap that counts; longer ones are failures, not pace.
const LONGEST_MS: u64 = 60_000;

/// Gaps of a lease after which the longest of those before is forgotten.
const LATE: u32 = 256;

/// The longest gap of one lease: of those that are being counted, and of those before.
#[derive(Clone, Copy, Debug, Default)]
struct Longest {
    now: Span,
    before: Span,
    counted: u32,
}

impl Longest {
    fn record(&mut self, gap: Span) {
        self.now = self.now.max(gap);
        self.counted += 1;
        if self.counted == LATE {
            *self = Self {
                before: self.now,
                ..Self::default()
            };
        }
    }
}

/// A histogram of gaps in milliseconds, and the pace it gave last.
#[derive(Debug)]
pub(super) struct Pacer {
    gaps: Option<Histogram<u32>>,
    pace: Pace,
    longest: BTreeMap<LeaseId, Longest>,
}

impl Pacer {
    pub(super) fn new() -> Self {
        // Two digits are plenty, and these bounds are valid; without a histogram the default stands.
        Self {
            gaps: Histogram::new_with_bounds(1, LONGEST_MS, 2).ok(),
            pace: Pace::default(),
            longest: BTreeMap::new(),
        }
    }

    pub(super) fn pace(&self) -> Pace {
        self.pace
    }

    /// The longest gap of the lease, of late.
    pub(super) fn longest(&self, lease: LeaseId) -> Option<Span> {
        self.longest
            .get(&lease)
            .map(|longest| longest.now.max(longest.before))
    }

    /// Forgets the leases that are gone.
    pub(super) fn retain(&mut self, keep: impl Fn(LeaseId) -> bool) {
        self.longest.retain(|lease, _| keep(*lease));
    }

    /// A token of the lease came this long after the one before.
    pub(super) fn record(&mut self, lease: LeaseId, gap: Duration) {
        let millis = u64::try_from(gap.as_millis()).unwrap_or(LONGEST_MS);
        self.longest
            .entry(lease)
            .or_default()
            .record(Span::from_millis(millis));
        let Some(gaps) = &mut self.gaps else { return };
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

    const LEASE: LeaseId = LeaseId::from_u128(1);

    #[test]
    fn the_longest_gap_of_a_lease_is_forgotten_after_many_short_ones() {
        let mut pacer = Pacer::new();
        assert_eq!(pacer.longest(LEASE), None);
        pacer.record(LEASE, Duration::from_millis(900));
        for _ in 1..LATE {
            pacer.record(LEASE, Duration::from_millis(5));
        }
        assert_eq!(pacer.longest(LEASE), Some(Span::from_millis(900)));
        for _ in 0..LATE {
            pacer.record(LEASE, Duration::from_millis(5));
        }
        assert_eq!(pacer.longest(LEASE), Some(Span::from_millis(5)));
        pacer.retain(|_| false);
        assert_eq!(pacer.longest(LEASE), None);
    }

    #[test]
    fn the_pace_follows_what_is_measured() {
        let mut pacer = Pacer::new();
        assert_eq!(pacer.pace(), Pace::default());
        for _ in 0..MOST {
            pacer.record(LEASE, Duration::from_millis(400));
        }
        assert_eq!(pacer.pace().typical.as_millis() / 10, 40);
        for _ in 0..EVERY {
            pacer.record(LEASE, Duration::from_millis(2));
        }
        assert_eq!(pacer.pace().p99, Span::from_millis(2));
    }
}
