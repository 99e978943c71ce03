//! Money in integer micro-dollars, and hourly prices. No float ever touches an amount.

use std::fmt;
use std::str::FromStr;

use crate::time::Span;

/// An amount in micro-USD. Signed, because a balance may be owed; transfers are never negative.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    minicbor::Encode,
    minicbor::Decode,
    minicbor::CborLen,
    serde::Serialize,
    serde::Deserialize,
)]
#[cbor(transparent)]
#[serde(transparent)]
pub struct Money(#[n(0)] i64);

/// A price of one whole unit for an hour, in micro-USD; never negative.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    minicbor::Encode,
    minicbor::Decode,
    minicbor::CborLen,
    serde::Serialize,
    serde::Deserialize,
)]
#[cbor(transparent)]
#[serde(transparent)]
pub struct Price(#[n(0)] u64);

/// Why a text is not an amount, or a sum has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// The text is not a decimal number of dollars with at most six decimals.
    #[error("`{0}` is not an amount in dollars: write it as 12.50, with at most six decimals")]
    Malformed(String),
    /// The amount does not fit in 64 bits of micro-dollars.
    #[error("`{0}` is more money than an account can hold (9,223,372,036,854.775807 dollars)")]
    TooLarge(String),
}

const MICROS_PER_DOLLAR: i64 = 1_000_000;
const MILLIS_PER_HOUR: u128 = 3_600_000;

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount.
    pub const MAX: Self = Self(i64::MAX);

    /// An amount in micro-USD.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// The amount in micro-USD.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// The sum, or `None` when it does not fit.
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// The difference, or `None` when it does not fit.
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(difference) => Some(Self(difference)),
            None => None,
        }
    }

    /// The sum, held at the largest amount.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, held at the bounds.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Whether the amount is below zero.
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// Whether the amount is exactly zero.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// `numerator / denominator` of the amount, rounded toward zero; zero when the denominator is.
    #[must_use]
    pub fn fraction(self, numerator: u64, denominator: u64) -> Self {
        if denominator == 0 {
            return Self::ZERO;
        }
        let scaled = i128::from(self.0) * i128::from(numerator) / i128::from(denominator);
        Self(i64::try_from(scaled).unwrap_or(if scaled < 0 { i64::MIN } else { i64::MAX }))
    }

    /// `basis_points / 10,000` of the amount, rounded toward zero.
    #[must_use]
    pub fn basis_points(self, basis_points: u32) -> Self {
        self.fraction(u64::from(basis_points), 10_000)
    }
}

impl Price {
    /// A price in micro-USD an hour.
    pub const fn from_micros_per_hour(micros: u64) -> Self {
        Self(micros)
    }

    /// The price in micro-USD an hour.
    pub const fn micros_per_hour(self) -> u64 {
        self.0
    }

    /// What `span` costs, rounded down to the micro-dollar: a tenant never pays the fraction.
    /// Held at [`Money::MAX`].
    pub fn for_span(self, span: Span) -> Money {
        let micros = u128::from(self.0) * u128::from(span.as_millis()) / MILLIS_PER_HOUR;
        Money(i64::try_from(micros).unwrap_or(i64::MAX))
    }

    /// The same price for `milli` thousandths of the unit, rounded down.
    #[must_use]
    pub fn scaled_milli(self, milli: u64) -> Self {
        let micros = u128::from(self.0) * u128::from(milli) / 1_000;
        Self(u64::try_from(micros).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Money {
    /// Dollars with all six decimals: `12.500000`; nothing is rounded away.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let micros = self.0.unsigned_abs();
        let per_dollar = MICROS_PER_DOLLAR.unsigned_abs();
        f.pad(&format!(
            "{sign}{}.{:06}",
            micros / per_dollar,
            micros % per_dollar
        ))
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per_dollar = MICROS_PER_DOLLAR.unsigned_abs();
        f.pad(&format!(
            "{}.{:06}",
            self.0 / per_dollar,
            self.0 % per_dollar
        ))
    }
}

impl FromStr for Money {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let malformed = || MoneyError::Malformed(text.to_owned());
        let too_large = || MoneyError::TooLarge(text.to_owned());
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !is_number(whole) || !is_number(fraction) || fraction.len() > 6 {
            return Err(malformed());
        }
        let whole: i64 = whole.parse().map_err(|_| too_large())?;
        let fraction: i64 = format!("{fraction:0<6}").parse().map_err(|_| malformed())?;
        let micros = whole
            .checked_mul(MICROS_PER_DOLLAR)
            .and_then(|micros| micros.checked_add(fraction))
            .ok_or_else(too_large)?;
        Ok(Self(if negative { -micros } else { micros }))
    }
}

impl FromStr for Price {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let amount: Money = text.parse()?;
        u64::try_from(amount.0)
            .map(Self)
            .map_err(|_| MoneyError::Malformed(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn text_round_trips(micros in -i64::MAX..i64::MAX) {
            let amount = Money::from_micros(micros);
            prop_assert_eq!(amount.to_string().parse::<Money>(), Ok(amount));
        }

        #[test]
        fn parsing_is_total(text in "\\PC{0,30}") {
            if let Ok(amount) = text.parse::<Money>() {
                prop_assert_eq!(amount.to_string().parse::<Money>(), Ok(amount));
            }
        }

        #[test]
        fn parts_of_a_span_never_cost_more_than_the_whole(
            price in 0_u64..1 << 40, a in 0_u64..1 << 32, b in 0_u64..1 << 32,
        ) {
            let price = Price::from_micros_per_hour(price);
            let whole = price.for_span(Span::from_millis(a + b));
            let parts = price.for_span(Span::from_millis(a)).checked_add(price.for_span(Span::from_millis(b)));
            prop_assert!(parts.is_some_and(|sum| sum <= whole));
        }
    }

    #[test]
    fn prices_at_the_edge_saturate() {
        assert_eq!(
            Price::from_micros_per_hour(u64::MAX).for_span(Span::DAY),
            Money::MAX
        );
        assert_eq!(
            Price::from_micros_per_hour(3_000_000)
                .for_span(Span::HOUR)
                .to_string(),
            "3.000000"
        );
    }
}
