//! How many hedges there may be: a bucket that every request fills a little, in thousandths.

/// Thousandths in one hedge.
const HEDGE: u64 = 1_000;

/// It begins empty, so that never more than its share of all requests was hedged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// What a request earns.
    share: u64,
    most: u64,
    saved: u64,
}

impl Budget {
    pub(super) fn new(per_mille: u32, saved_most: u32) -> Self {
        Self {
            share: u64::from(per_mille).min(HEDGE),
            most: u64::from(saved_most) * HEDGE,
            saved: 0,
        }
    }

    pub(super) fn earn(&mut self) {
        self.saved = (self.saved + self.share).min(self.most);
    }

    /// Pays for a hedge, if there is enough.
    pub(super) fn spend(&mut self) -> bool {
        let left = self.saved.checked_sub(HEDGE);
        self.saved = left.unwrap_or(self.saved);
        left.is_some()
    }
}
