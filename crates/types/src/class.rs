//! The kind of accelerator: `h100-sxm-80`, `rtx4090-24`, `cpu`.

mod choice;
mod known;

use std::fmt;
use std::str::FromStr;

use crate::id::text_serde;

pub use choice::{ClassChoice, ClassChoiceError};

/// A hardware class: 1 to 31 characters of `a-z`, `0-9` and `-`. Stored inline: copies are cheap.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Class {
    bytes: [u8; 31],
    len: u8,
}

/// Why a text is not a class.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a hardware class: 1 to 31 characters of a-z, 0-9 and `-` are expected, as in `h100-sxm-80`"
)]
pub struct ClassError(pub String);

impl Class {
    /// The class of a node without an accelerator.
    pub const CPU: Self = {
        let mut bytes = [0; 31];
        bytes[0] = b'c';
        bytes[1] = b'p';
        bytes[2] = b'u';
        Self { bytes, len: 3 }
    };

    /// The class as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
    }
}

impl FromStr for Class {
    type Err = ClassError;

    fn from_str(text: &str) -> Result<Self, ClassError> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let len = u8::try_from(text.len()).unwrap_or(u8::MAX);
        if !(1..=31).contains(&len) || !text.bytes().all(allowed) {
            return Err(ClassError(text.to_owned()));
        }
        let mut bytes = [0; 31];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Ok(Self { bytes, len })
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

text_serde!(Class);

impl<C> minicbor::Encode<C> for Class {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.str(self.as_str())?.ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for Class {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        d.str()?.parse().map_err(minicbor::decode::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_checked() {
        assert_eq!(
            "h100-sxm-80".parse::<Class>().map(|c| c.to_string()),
            Ok("h100-sxm-80".to_owned())
        );
        assert_eq!("cpu".parse(), Ok(Class::CPU));
        assert!("".parse::<Class>().is_err());
        assert!("H100".parse::<Class>().is_err());
        assert!("x".repeat(32).parse::<Class>().is_err());
    }
}
