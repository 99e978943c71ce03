//! A trace as the times at which nothing at all was to be had.

use remuda_types::{Span, Time};

use super::Availability;

impl Availability {
    /// A trace of a place that has something to give but for the ticks that are named.
    pub(crate) fn but_for(gap: Span, down: impl IntoIterator<Item = bool>) -> Self {
        let share = |down| if down { 0.0 } else { 1.0 };
        Self {
            gap,
            shares: down.into_iter().map(share).collect(),
        }
    }

    /// From one tick to the next.
    pub(crate) const fn gap(&self) -> Span {
        self.gap
    }

    /// How long it is.
    pub(crate) fn length(&self) -> Span {
        let ticks = self.shares.len() as u64;
        Span::from_millis(self.gap.as_millis().saturating_mul(ticks))
    }

    /// Whether nothing was to be had so long after its beginning.
    pub(crate) fn is_down(&self, at: Time) -> bool {
        let tick = at.as_millis() / self.gap.as_millis().max(1);
        let share = usize::try_from(tick)
            .ok()
            .and_then(|tick| self.shares.get(tick));
        share.is_some_and(|share| *share <= 0.0)
    }
}
