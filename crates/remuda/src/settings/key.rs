//! API keys on the client's side: never printed, not even by accident.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

/// An API key's text.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Key(String);

impl Key {
    /// The text, for the one header that carries it and the file that keeps it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl FromStr for Key {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.trim().to_owned()))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}
