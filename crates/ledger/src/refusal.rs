//! Why a list of entries was refused, and what to do about it.

use remuda_types::{Money, TransferId};

use crate::account::Account;

/// Why a list of entries was refused. Nothing of the list has happened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A debit would take the account below its floor.
    #[error("{account} has {available} dollars available of the {needed} needed: {}", way_out(.account))]
    InsufficientFunds {
        /// The account to be debited.
        account: Account,
        /// What it could have given at that point of the list.
        available: Money,
        /// What the entry takes.
        needed: Money,
    },
    /// There is no open reservation of this id.
    #[error("{id} is not reserved: it was posted or voided before, or never made; reserve anew")]
    UnknownPending {
        /// The id that was given.
        id: TransferId,
    },
    /// The id names an open reservation already.
    #[error("{id} is reserved already: choose a new id, or post or void the reservation")]
    AlreadyPending {
        /// The id that was given.
        id: TransferId,
    },
    /// More is posted than was set aside.
    #[error(
        "{id} has {reserved} dollars reserved of the {amount} to post: post no more than that, and transfer the rest"
    )]
    AmountOverReserved {
        /// The reservation.
        id: TransferId,
        /// What was to be posted.
        amount: Money,
        /// What is still reserved.
        reserved: Money,
    },
    /// Amounts are never negative.
    #[error("{id} moves {amount} dollars: exchange debit and credit instead of a negative amount")]
    NegativeAmount {
        /// The transfer.
        id: TransferId,
        /// Its amount.
        amount: Money,
    },
    /// Debit and credit are the same account.
    #[error("{id} debits and credits {account}: name two accounts")]
    SameAccount {
        /// The transfer.
        id: TransferId,
        /// The account named twice.
        account: Account,
    },
    /// A balance, with all that is reserved on it, would not fit in 64 bits.
    #[error("{account} would hold or owe more than 9,223,372,036,854 dollars: move less")]
    Overflow {
        /// The account.
        account: Account,
    },
    /// The list leaves money in settlement.
    #[error("the list leaves {left} dollars in settlement: pay all of it out in the same list")]
    SettlementOpen {
        /// What would stay there.
        left: Money,
    },
}

fn way_out(account: &Account) -> &'static str {
    match account {
        Account::TenantPrepaid(_) => "top it up, or ask for less",
        Account::TenantCredit(_) => "use prepaid money for the rest",
        Account::ProjectBudget(_) => "raise the project's budget, or ask for less",
        Account::ProviderBond(_) => "deposit more, or commit less",
        Account::ProviderHeld(_) | Account::ProviderAvailable(_) => {
            "wait for earnings, or take less"
        }
        Account::Settlement => "credit it earlier in the same list",
        Account::InsurancePool | Account::PlatformFee => "wait for fees, or take less",
        Account::Rail(_) | Account::SlaCredits => "take less",
    }
}
