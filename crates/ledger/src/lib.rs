//! Where money is: accounts, two-phase transfers, and balances that cannot go below their floor.
//!
//! Double entry in integer micro-USD. Every [`Entry`] takes from one account (*debit*: money
//! leaves) and gives to another (*credit*: money enters), so the sum over all accounts is zero
//! at all times; what came in from outside stands as a negative balance on a [`Rail`].
//!
//! A list of entries is *linked*: [`Ledger::check`] accepts or refuses it as a whole, and then
//! [`Ledger::apply`] takes its entries one by one and cannot fail. Entries are never changed;
//! a mistake is corrected by a new transfer.
//!
//! Memory is bounded by accounts with money and open reservations: finished transfers are not
//! kept. So an id is recognised as used only while its reservation is open; that a command does
//! not act twice is its command id's business.
//!
//! What does not belong here: why money moves (fees, bonds, service levels), and any clock. A
//! reservation past its deadline stays open until its owner enters a void.
#![forbid(unsafe_code)]
#![deny(clippy::arithmetic_side_effects, clippy::float_arithmetic)]

pub mod account;
pub mod balance;
mod draft;
pub mod entry;
pub mod invariant;
pub mod ledger;
pub mod refusal;
mod step;

pub use account::{Account, AccountError, Rail};
pub use balance::Balance;
pub use entry::{Entry, Pending, Purpose};
pub use invariant::Violation;
pub use ledger::Ledger;
pub use refusal::Refusal;
