//! A list of entries tried out over a ledger that does not change: holds only what the list touches.

mod touched;

use remuda_types::{Money, TransferId};

use crate::account::Account;
use crate::balance::Balance;
use crate::entry::{Entry, Pending};
use crate::ledger::Ledger;
use crate::refusal::Refusal;
use crate::step::{Reservation, Step};
use touched::Touched;

/// What the ledger would be after the entries so far.
pub(crate) struct Draft<'a> {
    ledger: &'a Ledger,
    balances: Touched<Account, Balance>,
    reservations: Touched<TransferId, Option<Pending>>,
}

impl<'a> Draft<'a> {
    pub(crate) fn of(ledger: &'a Ledger) -> Self {
        Self {
            ledger,
            balances: Touched::default(),
            reservations: Touched::default(),
        }
    }

    /// Takes the next entry of the list; on a refusal the draft is of no more use.
    pub(crate) fn enter(&mut self, entry: &Entry) -> Result<(), Refusal> {
        let step = Step::of(entry, self.pending(entry.id()))?;
        let debit = self.debited(&step)?;
        let credit = self
            .balance(step.credit)
            .credited(step.shift)
            .ok_or(Refusal::Overflow {
                account: step.credit,
            })?;
        self.balances.insert(step.debit, debit);
        self.balances.insert(step.credit, credit);
        match step.reservation {
            Reservation::None => {}
            Reservation::Open(pending) => self.reservations.insert(step.id, Some(pending)),
            Reservation::Closed => self.reservations.insert(step.id, None),
        }
        Ok(())
    }

    /// The end of the list: money may pass through settlement, never rest there.
    pub(crate) fn close(&self) -> Result<(), Refusal> {
        match self.balances.get(Account::Settlement) {
            Some(balance) if !balance.posted.is_zero() => Err(Refusal::SettlementOpen {
                left: balance.posted,
            }),
            Some(_) | None => Ok(()),
        }
    }

    /// Posts and voids never lower what is available, so only new debits can meet the floor.
    fn debited(&self, step: &Step) -> Result<Balance, Refusal> {
        let account = step.debit;
        let before = self.balance(account);
        let after = before
            .debited(step.shift)
            .ok_or(Refusal::Overflow { account });
        let taken = step.shift.posted.saturating_add(step.shift.reserved);
        let available = before.available();
        let short = |floor| taken > Money::ZERO && available.saturating_sub(taken) < floor;
        if account.floor().is_some_and(short) {
            return Err(Refusal::InsufficientFunds {
                account,
                available,
                needed: taken,
            });
        }
        after
    }

    fn balance(&self, account: Account) -> Balance {
        match self.balances.get(account) {
            Some(balance) => *balance,
            None => self.ledger.balance(account),
        }
    }

    fn pending(&self, id: TransferId) -> Option<Pending> {
        match self.reservations.get(id) {
            Some(drafted) => *drafted,
            None => self.ledger.pending(id).copied(),
        }
    }
}
