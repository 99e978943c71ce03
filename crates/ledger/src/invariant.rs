//! What is true of every ledger, after every accepted list. For tests, the simulator and replay.

use std::collections::{BTreeMap, BTreeSet};

use remuda_types::{Money, Time, TransferId};

use crate::account::Account;
use crate::balance::Balance;
use crate::entry::Pending;
use crate::ledger::Ledger;

/// What is wrong with a ledger. There is no way out but to find the bug.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Money was created or destroyed.
    #[error("all balances sum to {micros} micro-dollars instead of zero")]
    Total {
        /// The sum.
        micros: i128,
    },
    /// An account gave more than it had.
    #[error("{account} is below its floor with {available} dollars available")]
    BelowFloor {
        /// The account.
        account: Account,
        /// What it has.
        available: Money,
    },
    /// An account's pending sums are not those of the open reservations.
    #[error(
        "{account} counts {debits} dollars of pending debits and {credits} of pending credits, \
         unlike its open reservations"
    )]
    Pending {
        /// The account.
        account: Account,
        /// What it counts as pending debits.
        debits: Money,
        /// What it counts as pending credits.
        credits: Money,
    },
    /// An open reservation holds a negative amount, or names one account twice.
    #[error("the reservation {id} could not have been made")]
    Reservation {
        /// The reservation.
        id: TransferId,
    },
    /// Usage did not reach those who earned it.
    #[error("settlement holds {left} dollars")]
    Settlement {
        /// What is left there.
        left: Money,
    },
    /// An account without money or reservation was kept.
    #[error("{account} is empty but was not dropped")]
    Empty {
        /// The account.
        account: Account,
    },
    /// The order of deadlines is not that of the open reservations.
    #[error("the deadlines are not those of the open reservations")]
    Deadlines,
}

/// Pending debits and credits of one account, in micro-USD.
type Sums = (i128, i128);

/// Checks everything, in time proportional to the ledger.
pub fn check(ledger: &Ledger) -> Result<(), Violation> {
    total(ledger)?;
    settlement(ledger)?;
    reservations(ledger)?;
    pending_sums(ledger)?;
    ledger
        .accounts()
        .try_for_each(|(account, balance)| account_alone(account, balance))?;
    deadlines(ledger)
}

fn total(ledger: &Ledger) -> Result<(), Violation> {
    match ledger.total_micros() {
        0 => Ok(()),
        micros => Err(Violation::Total { micros }),
    }
}

fn settlement(ledger: &Ledger) -> Result<(), Violation> {
    let left = ledger.balance(Account::Settlement).posted;
    if left.is_zero() {
        Ok(())
    } else {
        Err(Violation::Settlement { left })
    }
}

fn account_alone(account: Account, balance: Balance) -> Result<(), Violation> {
    let available = balance.available();
    if balance.is_empty() {
        return Err(Violation::Empty { account });
    }
    if account.floor().is_some_and(|floor| available < floor) {
        return Err(Violation::BelowFloor { account, available });
    }
    Ok(())
}

fn reservations(ledger: &Ledger) -> Result<(), Violation> {
    let is_wrong =
        |pending: &Pending| pending.amount.is_negative() || pending.debit == pending.credit;
    match ledger.reservations().find(|(_, pending)| is_wrong(pending)) {
        Some((id, _)) => Err(Violation::Reservation { id }),
        None => Ok(()),
    }
}

fn pending_sums(ledger: &Ledger) -> Result<(), Violation> {
    let mut reserved = sums_of_reservations(ledger);
    for (account, balance) in ledger.accounts() {
        let counted = sums_of_balance(balance);
        if reserved.remove(&account).unwrap_or_default() != counted {
            return Err(pending_violation(account, balance));
        }
    }
    match reserved.into_iter().find(|(_, sums)| *sums != (0, 0)) {
        Some((account, _)) => Err(pending_violation(account, Balance::default())),
        None => Ok(()),
    }
}

fn sums_of_reservations(ledger: &Ledger) -> BTreeMap<Account, Sums> {
    let mut sums = BTreeMap::<Account, Sums>::new();
    for (_, pending) in ledger.reservations() {
        let micros = i128::from(pending.amount.as_micros());
        let debits = &mut sums.entry(pending.debit).or_default().0;
        *debits = debits.saturating_add(micros);
        let credits = &mut sums.entry(pending.credit).or_default().1;
        *credits = credits.saturating_add(micros);
    }
    sums
}

fn sums_of_balance(balance: Balance) -> Sums {
    let micros = |amount: Money| i128::from(amount.as_micros());
    (
        micros(balance.pending_debits),
        micros(balance.pending_credits),
    )
}

fn pending_violation(account: Account, balance: Balance) -> Violation {
    let Balance {
        pending_debits: debits,
        pending_credits: credits,
        ..
    } = balance;
    Violation::Pending {
        account,
        debits,
        credits,
    }
}

fn deadlines(ledger: &Ledger) -> Result<(), Violation> {
    let expected: BTreeSet<(Time, TransferId)> = ledger
        .reservations()
        .filter_map(|(id, pending)| Some((pending.expires?, id)))
        .collect();
    if expected == *ledger.deadlines() {
        Ok(())
    } else {
        Err(Violation::Deadlines)
    }
}
