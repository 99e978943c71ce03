//! Content digests and labels.

use std::fmt;
use std::str::FromStr;

use crate::id::text_serde;

/// A BLAKE3 digest of some content.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

/// A keyed digest that stands in an event where a tenant's own text would stand (a name, a tag).
///
/// The text lies beside the journal, encrypted under the tenant's key; destroying that key leaves
/// labels that mean nothing (DESIGN, invariant 7).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(pub [u8; 16]);

/// Why a text is not a digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not a digest: {expected} lower-case hexadecimal characters are expected")]
pub struct DigestError {
    /// What was given.
    pub given: String,
    /// How many characters it should have.
    pub expected: usize,
}

impl Digest {
    /// The digest of `content`.
    pub fn of(content: &[u8]) -> Self {
        Self(*blake3::hash(content).as_bytes())
    }
}

impl Label {
    /// The label of `text` within `domain` (as "workload name") under `key`.
    pub fn keyed(key: &[u8; 32], domain: &str, text: &str) -> Self {
        let mut hasher = blake3::Hasher::new_keyed(key);
        hasher
            .update(domain.as_bytes())
            .update(&[0])
            .update(text.as_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        Self(bytes)
    }
}

macro_rules! hex_text {
    ($name:ident, $len:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = DigestError;

            fn from_str(text: &str) -> Result<Self, DigestError> {
                data_encoding::HEXLOWER
                    .decode(text.as_bytes())
                    .ok()
                    .and_then(|bytes| <[u8; $len]>::try_from(bytes).ok())
                    .map(Self)
                    .ok_or_else(|| DigestError {
                        given: text.to_owned(),
                        expected: 2 * $len,
                    })
            }
        }

        text_serde!($name);

        impl<C> minicbor::Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self,
                e: &mut minicbor::Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                e.bytes(&self.0)?.ok()
            }
        }

        impl<'b, C> minicbor::Decode<'b, C> for $name {
            fn decode(
                d: &mut minicbor::Decoder<'b>,
                _: &mut C,
            ) -> Result<Self, minicbor::decode::Error> {
                <[u8; $len]>::try_from(d.bytes()?)
                    .map(Self)
                    .map_err(|_| minicbor::decode::Error::message("a digest of another length"))
            }
        }
    };
}

hex_text!(Digest, 32);
hex_text!(Label, 16);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_round_trips_and_labels_depend_on_key_and_domain() {
        let digest = Digest::of(b"abc");
        assert_eq!(digest.to_string().parse(), Ok(digest));
        let label = Label::keyed(&[1; 32], "workload name", "chat");
        assert_ne!(label, Label::keyed(&[2; 32], "workload name", "chat"));
        assert_ne!(label, Label::keyed(&[1; 32], "tag", "chat"));
        assert!("00".parse::<Digest>().is_err());
    }
}
