//! Values of a scenario that cannot be wrong once read.

use std::fmt;
use std::time::Duration;

use remuda_types::Span;
use serde::Deserialize;
use serde::de::{Deserializer, Error};

/// Nothing lasts for longer: a hundred years.
const LENGTH_MAX_MS: u64 = 36_525 * 86_400_000;

/// A probability or a share: 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Chance(pub f64);

/// A factor: 0 or more, and finite.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Factor(pub f64);

/// A length of time, as people write it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Length(pub Span);

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(Duration::from_millis(self.0.as_millis())).fmt(f)
    }
}

impl<'de> Deserialize<'de> for Chance {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = f64::deserialize(from)?;
        if (0.0..=1.0).contains(&value) {
            return Ok(Self(value));
        }
        Err(D::Error::custom(format!(
            "{value} is no share: 0 to 1 is expected"
        )))
    }
}

impl<'de> Deserialize<'de> for Factor {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = f64::deserialize(from)?;
        if value.is_finite() && value >= 0.0 {
            return Ok(Self(value));
        }
        Err(D::Error::custom(format!(
            "{value} is no factor: a number that is not below 0 is expected"
        )))
    }
}

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let length = humantime::parse_duration(&text).map_err(|error| {
            D::Error::custom(format!(
                "`{text}` is no length of time ({error}); write `90s` or `1h 30m`"
            ))
        })?;
        let millis = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        if millis > LENGTH_MAX_MS {
            let problem = format!("`{text}` is too long: at most a hundred years are expected");
            return Err(D::Error::custom(problem));
        }
        Ok(Self(Span::from_millis(millis)))
    }
}
