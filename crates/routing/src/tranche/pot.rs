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
    /// What there was left of its life when it was granted.
    life: Span,
    /// How long before it is of no use the next tranche is wanted.
    lead: Span,
}

impl Pot {
    pub(super) fn new(tranche: Tranche, now: Time, policy: &Policy) -> Self {
        let life = tranche.deadline.since(now);
        let quarter = Span::from_millis(life.as_millis() / 4);
        let stops = tranche.deadline - policy.last_start.min(quarter);
        let lead = policy.lead.min(quarter);
        Self {
            tranche,
            spent: Money::ZERO,
            reserved: Money::ZERO,
            stops,
            life,
            lead,
        }
    }

    /// From then on the next tranche is wanted, when a request may last for `longest`: early enough
    /// that such a request need not start in this one and be cut off with it.
    pub(super) fn renew(&self, longest: Span) -> Time {
        let half = Span::from_millis(self.life.as_millis() / 2);
        self.stops.min(self.tranche.deadline - longest.min(half)) - self.lead
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
