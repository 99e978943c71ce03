//! Instants and spans in whole milliseconds. Nothing here reads a clock: time is an argument.

use std::fmt;
use std::ops::{Add, Sub};

/// An instant: milliseconds since the Unix epoch, as control's clock told it.
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
pub struct Time(#[n(0)] u64);

/// A length of time in milliseconds; never negative.
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
pub struct Span(#[n(0)] u64);

impl Time {
    /// The Unix epoch.
    pub const EPOCH: Self = Self(0);
    /// The last instant that RFC 3339 can write: the end of the year 9999.
    pub const LAST_WRITABLE: Self = Self(253_402_300_799_999);
    /// Later than anything that will happen.
    pub const FOREVER: Self = Self(u64::MAX);

    /// The instant `millis` milliseconds after the Unix epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub const fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);
    /// One hour.
    pub const HOUR: Self = Self::from_secs(3_600);
    /// One day.
    pub const DAY: Self = Self::from_secs(86_400);

    /// A span of milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// A span of seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1_000))
    }

    /// The span in milliseconds.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The shorter of two spans.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        Ord::min(self, other)
    }

    /// This less `other`; nothing when `other` is the longer.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// As people say it, in the largest unit of which it is a whole number: `90 days`, `1 minute`.
    pub fn in_words(self) -> String {
        const UNITS: [(&str, Span); 4] = [
            ("day", Span::DAY),
            ("hour", Span::HOUR),
            ("minute", Span::from_secs(60)),
            ("second", Span::from_secs(1)),
        ];
        let whole = |unit: &Self| self.0 > 0 && self.0.is_multiple_of(unit.0);
        match UNITS.iter().find(|(_, unit)| whole(unit)) {
            Some((name, unit)) => match self.0 / unit.0 {
                1 => format!("1 {name}"),
                many => format!("{many} {name}s"),
            },
            None => self.to_string(),
        }
    }

    /// The sum, or the longest span there is.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Add<Span> for Time {
    type Output = Self;

    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl Sub<Span> for Time {
    type Output = Self;

    fn sub(self, span: Span) -> Self {
        Self(self.0.saturating_sub(span.0))
    }
}

impl fmt::Display for Span {
    /// Three decimals of seconds, as statements print them: `12.345 s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03} s", self.0 / 1_000, self.0 % 1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_runs_backward_gives_an_empty_span() {
        assert_eq!(Time::from_millis(5).since(Time::from_millis(9)), Span::ZERO);
        assert_eq!(Time::FOREVER + Span::DAY, Time::FOREVER);
        assert_eq!(Span::from_millis(12_345).to_string(), "12.345 s");
    }

    #[test]
    fn a_span_is_said_in_its_largest_whole_unit() {
        let said = |seconds| Span::from_secs(seconds).in_words();
        assert_eq!(
            [60, 90, 7_200, 86_400, 90 * 86_400].map(said),
            ["1 minute", "90 seconds", "2 hours", "1 day", "90 days"]
        );
        assert_eq!(Span::from_millis(1_500).in_words(), "1.500 s");
        assert_eq!(Span::ZERO.in_words(), "0.000 s");
    }
}
