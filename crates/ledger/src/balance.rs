//! What stands on one account.
//!
//! A balance keeps headroom: its sums fit in 64 bits, and neither all its pending debits nor all
//! its pending credits could take `posted` out of range. So to post or void an open reservation
//! never overflows.

use minicbor::{Decode, Encode};
use remuda_types::Money;

/// What stands on one account, in micro-USD.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Balance {
    /// What has entered less what has left.
    #[n(0)]
    pub posted: Money,
    /// What open reservations may still take.
    #[n(1)]
    pub pending_debits: Money,
    /// What open reservations may still bring. It cannot be spent.
    #[n(2)]
    pub pending_credits: Money,
}

/// How far one entry moves the balance of either of its accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shift {
    /// What leaves the debit account and enters the credit account.
    pub(crate) posted: Money,
    /// What is newly reserved; negative for what is freed or posted.
    pub(crate) reserved: Money,
}

impl Balance {
    /// What may be spent now.
    pub const fn available(self) -> Money {
        self.posted.saturating_sub(self.pending_debits)
    }

    /// Whether the account may be forgotten.
    pub(crate) const fn is_empty(self) -> bool {
        self.posted.is_zero() && self.pending_debits.is_zero() && self.pending_credits.is_zero()
    }

    /// The balance after `shift` of an entry that debits it; `None` without headroom.
    pub(crate) fn debited(self, shift: Shift) -> Option<Self> {
        Self {
            posted: self.posted.checked_sub(shift.posted)?,
            pending_debits: self.pending_debits.checked_add(shift.reserved)?,
            ..self
        }
        .with_headroom()
    }

    /// The balance after `shift` of an entry that credits it; `None` without headroom.
    pub(crate) fn credited(self, shift: Shift) -> Option<Self> {
        Self {
            posted: self.posted.checked_add(shift.posted)?,
            pending_credits: self.pending_credits.checked_add(shift.reserved)?,
            ..self
        }
        .with_headroom()
    }

    fn with_headroom(self) -> Option<Self> {
        self.posted.checked_sub(self.pending_debits)?;
        self.posted.checked_add(self.pending_credits)?;
        Some(self)
    }
}
