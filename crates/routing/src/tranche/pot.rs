//! A tranche and what has become of it.

use remuda_types::{Money, Span, Time};

use super::{Policy, Tranche};

/// A tranche in the purse.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pot {
    pub(crate) tranche: Tranche,
    pub(super) spent: Money,
    pub(crate) reserved: Money,
    /// Nothing starts from then on.
    pub(super) stops: Time,
    /// From then on the next tranche is wanted.
    pub(super) renew: Time,
}

impl Pot {
    pub(super) fn new(tranche: Tranche, now: Time, policy: &Policy) -> Self {
        let quarter = Span::from_millis(tranche.deadline.since(now).as_millis() / 4);
        let stops = tranche.deadline - policy.last_start.min(quarter);
        let renew = stops - policy.lead.min(quarter);
        Self {
            tranche,
            spent: Money::ZERO,
            reserved: Money::ZERO,
            stops,
            renew,
        }
    }

    /// Spent and reserved.
    pub(crate) fn used(&self) -> Money {
        self.spent.saturating_add(self.reserved)
    }

    pub(super) fn headroom(&self) -> Money {
        self.tranche
            .amount
            .saturating_sub(self.used())
            .max(Money::ZERO)
    }

    /// Whether something may start in it at `now`.
    pub(super) fn is_usable(&self, now: Time) -> bool {
        now < self.stops && !self.headroom().is_zero()
    }

    /// Whether what is left is not worth keeping: a hundredth, or nothing.
    pub(super) fn is_spent(&self) -> bool {
        self.headroom() <= self.tranche.amount.fraction(1, 100)
    }
}
