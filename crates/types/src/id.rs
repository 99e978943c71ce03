//! Identifiers: 128 bits, time-ordered, chosen by whoever makes the thing.
//!
//! The layout is that of a ULID (48 bits of Unix milliseconds, 80 of entropy), so ids sort by
//! birth, which is what keeps B-tree inserts at the right edge. The text form is a prefix that
//! names the kind, an underscore and 26 characters of Crockford base 32: `wl_01J9…`.
//! Nodes and gateways are named by the ed25519 key they made themselves.
//! No id carries a counter of one cell: cells may be many.

use std::fmt;
use std::str::FromStr;

use crate::time::Time;

/// Ten bytes of entropy for one id. Pure crates get it as an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entropy(pub [u8; 10]);

/// Why a text is not an id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text does not begin with the prefix of this kind of id.
    #[error("`{given}` is not {article} id: it must begin with `{prefix}_`")]
    Prefix {
        /// What was given.
        given: String,
        /// The prefix it should have.
        prefix: &'static str,
        /// "a workload", for the message.
        article: &'static str,
    },
    /// The part after the prefix is not 26 characters of Crockford base 32 (or 52 for a key).
    #[error("`{given}` is not a well-formed id: {expected} are expected after the prefix")]
    Body {
        /// What was given.
        given: String,
        /// What the body should be.
        expected: &'static str,
    },
}

const CROCKFORD: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

fn encode_base32(value: u128) -> [u8; 26] {
    let mut text = [0; 26];
    let mut rest = value;
    for slot in text.iter_mut().rev() {
        *slot = CROCKFORD[usize::from(rest.to_le_bytes()[0] & 31)];
        rest >>= 5;
    }
    text
}

fn decode_base32(text: &str) -> Option<u128> {
    if text.len() != 26 {
        return None;
    }
    let mut value: u128 = 0;
    for byte in text.bytes() {
        let digit = CROCKFORD
            .iter()
            .position(|&c| c == byte.to_ascii_lowercase())?;
        value = value
            .checked_mul(32)?
            .checked_add(u128::try_from(digit).ok()?)?;
    }
    Some(value)
}

fn compose(at: Time, entropy: Entropy) -> u128 {
    let mut low = [0_u8; 16];
    low[6..].copy_from_slice(&entropy.0);
    (u128::from(at.as_millis() & 0xFFFF_FFFF_FFFF) << 80) | u128::from_be_bytes(low)
}

/// The id of the `ordinal`-th thing that a command makes: same birth as the command, other entropy.
fn derive(command: u128, domain: &str, ordinal: u32) -> u128 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(domain.as_bytes());
    hasher.update(&command.to_be_bytes());
    hasher.update(&ordinal.to_be_bytes());
    let hash = hasher.finalize();
    let mut low = [0_u8; 16];
    low[6..].copy_from_slice(&hash.as_bytes()[..10]);
    (command & !((1 << 80) - 1)) | u128::from_be_bytes(low)
}

macro_rules! ulid_ids {
    ($($(#[$doc:meta])* $name:ident, $prefix:literal, $article:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u128);

        impl $name {
            /// The prefix of the text form, without the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// A new id, born at `at`.
            pub fn new(at: Time, entropy: Entropy) -> Self {
                Self(compose(at, entropy))
            }

            /// The id of the `ordinal`-th thing of this kind that `command` makes.
            pub fn derived(command: CommandId, ordinal: u32) -> Self {
                Self(derive(command.0, $prefix, ordinal))
            }

            /// An id from its 128 bits.
            pub const fn from_u128(bits: u128) -> Self {
                Self(bits)
            }

            /// The 128 bits of the id.
            pub const fn as_u128(self) -> u128 {
                self.0
            }

            /// When the id was made, to the millisecond.
            pub fn born(self) -> Time {
                let bytes = self.0.to_be_bytes();
                Time::from_millis(u64::from_be_bytes([
                    0, 0, bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5],
                ]))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!($prefix, "_"))?;
                encode_base32(self.0).iter().try_for_each(|&b| fmt::Write::write_char(f, char::from(b)))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let body = text.strip_prefix(concat!($prefix, "_")).ok_or_else(|| IdError::Prefix {
                    given: text.to_owned(),
                    prefix: $prefix,
                    article: $article,
                })?;
                decode_base32(body).map(Self).ok_or_else(|| IdError::Body {
                    given: text.to_owned(),
                    expected: "26 characters of Crockford base 32",
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
                e.bytes(&self.0.to_be_bytes())?.ok()
            }
        }

        impl<'b, C> minicbor::Decode<'b, C> for $name {
            fn decode(
                d: &mut minicbor::Decoder<'b>,
                _: &mut C,
            ) -> Result<Self, minicbor::decode::Error> {
                <[u8; 16]>::try_from(d.bytes()?)
                    .map(|bytes| Self(u128::from_be_bytes(bytes)))
                    .map_err(|_| minicbor::decode::Error::message("an id has 16 bytes"))
            }
        }
    )*};
}

macro_rules! text_serde {
    ($name:ident) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use text_serde;

ulid_ids! {
    /// A command: chosen by the client, so that the same command twice is one.
    CommandId, "cmd", "a command";
    /// An organisation that buys.
    TenantId, "ten", "a tenant";
    /// A tenant's project: the owner of budgets, keys and workloads.
    ProjectId, "prj", "a project";
    /// An owner of nodes.
    ProviderId, "pro", "a provider";
    /// A place where nodes stand: one owner, one power feed, one uplink.
    SiteId, "site", "a site";
    /// What a tenant wants run.
    WorkloadId, "wl", "a workload";
    /// One running copy of a workload; it outlives the leases it moves through.
    ReplicaId, "rep", "a replica";
    /// A node's capacity held for one replica.
    LeaseId, "lea", "a lease";
    /// Capacity kept free for when it is called for.
    ClaimId, "clm", "a claim";
    /// An API key's public name (never its secret).
    ApiKeyId, "key", "an API key";
    /// One movement of money.
    TransferId, "trf", "a transfer";
    /// Money a gateway may spend without asking.
    TrancheId, "trn", "a tranche";
    /// One request through a gateway.
    RequestId, "req", "a request";
}

macro_rules! key_ids {
    ($($(#[$doc:meta])* $name:ident, $prefix:literal, $article:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!($prefix, "_"))?;
                f.write_str(&data_encoding::BASE32_NOPAD.encode(&self.0).to_ascii_lowercase())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let body = text.strip_prefix(concat!($prefix, "_")).ok_or_else(|| IdError::Prefix {
                    given: text.to_owned(),
                    prefix: $prefix,
                    article: $article,
                })?;
                data_encoding::BASE32_NOPAD
                    .decode(body.to_ascii_uppercase().as_bytes())
                    .ok()
                    .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
                    .map(Self)
                    .ok_or_else(|| IdError::Body {
                        given: text.to_owned(),
                        expected: "52 characters of RFC 4648 base 32",
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
                <[u8; 32]>::try_from(d.bytes()?)
                    .map(Self)
                    .map_err(|_| minicbor::decode::Error::message("a key has 32 bytes"))
            }
        }
    )*};
}

key_ids! {
    /// A node, named by the ed25519 public key it made itself.
    NodeKey, "node", "a node";
    /// A gateway, named by its ed25519 public key.
    GatewayKey, "gw", "a gateway";
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn text_round_trips(bits: u128, key: [u8; 32]) {
            let id = WorkloadId::from_u128(bits);
            prop_assert_eq!(id.to_string().parse::<WorkloadId>(), Ok(id));
            let node = NodeKey(key);
            prop_assert_eq!(node.to_string().parse::<NodeKey>(), Ok(node));
        }

        #[test]
        fn later_ids_sort_later(a in 0_u64..1 << 48, b in 0_u64..1 << 48, e: [u8; 10], f: [u8; 10]) {
            let (x, y) = (
                LeaseId::new(Time::from_millis(a), Entropy(e)),
                LeaseId::new(Time::from_millis(b), Entropy(f)),
            );
            prop_assert_eq!(x.born(), Time::from_millis(a));
            if a < b { prop_assert!(x < y && x.to_string() < y.to_string()); }
        }

        #[test]
        fn any_text_is_an_id_or_an_error(text in "\\PC{0,40}") {
            // The parser is total; equality with its own output is checked above.
            if let Ok(id) = text.parse::<TenantId>() {
                prop_assert_eq!(id.to_string(), text.to_ascii_lowercase());
            }
        }
    }

    #[test]
    fn derived_ids_differ_by_ordinal_and_kind_and_keep_the_birth() {
        let command = CommandId::new(Time::from_millis(77), Entropy([3; 10]));
        let first = LeaseId::derived(command, 0);
        assert_ne!(first, LeaseId::derived(command, 1));
        assert_ne!(first.as_u128(), ReplicaId::derived(command, 0).as_u128());
        assert_eq!(first.born(), command.born());
    }

    #[test]
    fn errors_name_the_kind() {
        let error = "prj_x".parse::<TenantId>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "`prj_x` is not a tenant id: it must begin with `ten_`"
        );
    }
}
