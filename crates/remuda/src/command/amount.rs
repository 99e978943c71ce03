//! Amounts of money as arguments.

use std::str::FromStr;

use remuda_types::{Money, MoneyError};
use remuda_wire::api::Usd;
use remuda_wire::api::tenant::{Deposit, Rail};

/// Dollars, as `12.50`; more than nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Amount(Money);

/// Why a text is not an amount to pay.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AmountError {
    /// It is no amount.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// Nothing, or less.
    #[error("`{0}` is not more than nothing: write it as 12.50")]
    NotPositive(String),
}

impl Amount {
    /// As it travels.
    pub(crate) const fn usd(self) -> Usd {
        Usd(self.0)
    }

    /// Money that comes in.
    pub(crate) const fn deposit(self, rail: Rail) -> Deposit {
        Deposit {
            amount_usd: self.usd(),
            rail,
        }
    }
}

impl FromStr for Amount {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        let money: Money = text.parse()?;
        if money > Money::ZERO {
            return Ok(Self(money));
        }
        Err(AmountError::NotPositive(text.to_owned()))
    }
}

/// A way by which money enters.
pub(crate) fn rail(text: &str) -> Result<Rail, String> {
    match text {
        "bank" => Ok(Rail::Bank),
        "chain" => Ok(Rail::Chain),
        _ => Err("`bank` or `chain` is expected".to_owned()),
    }
}
