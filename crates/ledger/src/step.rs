//! What one entry does, once the reservation it speaks of is known. All rules that do not depend
//! on balances are here.

use remuda_types::{Money, TransferId};

use crate::account::Account;
use crate::balance::Shift;
use crate::entry::{Entry, Pending};
use crate::refusal::Refusal;

/// The effect of one entry: the same shift on both accounts, and the fate of one reservation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) id: TransferId,
    pub(crate) debit: Account,
    pub(crate) credit: Account,
    pub(crate) shift: Shift,
    pub(crate) reservation: Reservation,
}

/// What becomes of the reservation with the step's id.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reservation {
    /// There is none.
    None,
    /// It is open from now on, or still.
    Open(Pending),
    /// It is closed.
    Closed,
}

impl Step {
    /// What `entry` does when `open` is the open reservation that has its id.
    pub(crate) fn of(entry: &Entry, open: Option<Pending>) -> Result<Self, Refusal> {
        let id = entry.id();
        let known = open.ok_or(Refusal::UnknownPending { id });
        match *entry {
            Entry::Transfer {
                debit,
                credit,
                amount,
                ..
            } => {
                refuse_unless_new(id, open, debit, credit, amount)?;
                Ok(Self::transfer(id, debit, credit, amount))
            }
            Entry::Reserve {
                debit,
                credit,
                amount,
                purpose,
                expires,
                ..
            } => {
                refuse_unless_new(id, open, debit, credit, amount)?;
                Ok(Self::reserve(
                    id,
                    Pending {
                        debit,
                        credit,
                        amount,
                        purpose,
                        expires,
                    },
                ))
            }
            Entry::Post { amount, .. } => known?.post(id, amount),
            Entry::PostPart { amount, .. } => known?.post_part(id, amount),
            Entry::Void { .. } => known?.post(id, Money::ZERO),
        }
    }

    fn transfer(id: TransferId, debit: Account, credit: Account, amount: Money) -> Self {
        let shift = Shift {
            posted: amount,
            reserved: Money::ZERO,
        };
        Self {
            id,
            debit,
            credit,
            shift,
            reservation: Reservation::None,
        }
    }

    fn reserve(id: TransferId, pending: Pending) -> Self {
        let shift = Shift {
            posted: Money::ZERO,
            reserved: pending.amount,
        };
        pending.step(id, shift, Reservation::Open(pending))
    }
}

impl Pending {
    fn post(self, id: TransferId, amount: Money) -> Result<Step, Refusal> {
        self.left_after(id, amount)?;
        let shift = Shift {
            posted: amount,
            reserved: negated(self.amount),
        };
        Ok(self.step(id, shift, Reservation::Closed))
    }

    fn post_part(self, id: TransferId, amount: Money) -> Result<Step, Refusal> {
        let left = self.left_after(id, amount)?;
        let shift = Shift {
            posted: amount,
            reserved: negated(amount),
        };
        Ok(self.step(
            id,
            shift,
            Reservation::Open(Self {
                amount: left,
                ..self
            }),
        ))
    }

    fn left_after(self, id: TransferId, amount: Money) -> Result<Money, Refusal> {
        refuse_negative(id, amount)?;
        let left = self.amount.saturating_sub(amount);
        if left.is_negative() {
            return Err(Refusal::AmountOverReserved {
                id,
                amount,
                reserved: self.amount,
            });
        }
        Ok(left)
    }

    fn step(self, id: TransferId, shift: Shift, reservation: Reservation) -> Step {
        Step {
            id,
            debit: self.debit,
            credit: self.credit,
            shift,
            reservation,
        }
    }
}

fn refuse_unless_new(
    id: TransferId,
    open: Option<Pending>,
    debit: Account,
    credit: Account,
    amount: Money,
) -> Result<(), Refusal> {
    if open.is_some() {
        return Err(Refusal::AlreadyPending { id });
    }
    if debit == credit {
        return Err(Refusal::SameAccount { id, account: debit });
    }
    refuse_negative(id, amount)
}

fn refuse_negative(id: TransferId, amount: Money) -> Result<(), Refusal> {
    if amount.is_negative() {
        return Err(Refusal::NegativeAmount { id, amount });
    }
    Ok(())
}

/// Exact: amounts are never negative, so the negation always fits.
fn negated(amount: Money) -> Money {
    Money::ZERO.saturating_sub(amount)
}
