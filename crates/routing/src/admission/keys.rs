//! API keys, as control tells them: digests, never secrets.
//!
//! A key is looked up by the BLAKE3 digest of the secret that the client sent. The lookup's time
//! depends on how many leading bytes of digests agree, but that tells an attacker nothing: to steer
//! the digest he would have to invert the hash. So an ordered map is safe where comparing secrets
//! byte by byte would not be.

use std::collections::BTreeMap;

use remuda_types::{ApiKeyId, Digest, ProjectId, Time};

/// A key as control tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyEntry {
    /// BLAKE3 of the secret.
    pub digest: Digest,
    /// What the secret stands for.
    pub key: Key,
}

/// What a good secret stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// The key's public name.
    pub id: ApiKeyId,
    /// Whose budget it spends and whose models it sees.
    pub project: ProjectId,
    /// Not valid from then on.
    pub expires: Option<Time>,
    /// Whether it may ask for inference.
    pub inference: bool,
    /// Requests a minute; 0 is no limit.
    pub requests_per_minute: u32,
}

/// Why a secret does not open the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No key has this secret.
    #[error("the API key is not known: check it, or make a new one")]
    Unknown,
    /// The key was valid once.
    #[error("the API key has expired: make a new one")]
    Expired,
    /// The key is for other things.
    #[error("the API key may not ask for inference: make one with that scope")]
    NotForInference,
}

/// All keys that may ask at this gateway.
#[derive(Clone, Debug, Default)]
pub struct KeyRing {
    keys: BTreeMap<Digest, Key>,
}

impl KeyRing {
    /// The ring of control's latest table; it replaces the one before.
    pub fn new(entries: impl IntoIterator<Item = KeyEntry>) -> Self {
        Self {
            keys: entries
                .into_iter()
                .map(|entry| (entry.digest, entry.key))
                .collect(),
        }
    }

    /// The key whose secret has this digest, if it may ask for inference now.
    pub fn authorize(&self, secret: Digest, now: Time) -> Result<&Key, Refusal> {
        let key = self.keys.get(&secret).ok_or(Refusal::Unknown)?;
        if key.expires.is_some_and(|expires| now >= expires) {
            return Err(Refusal::Expired);
        }
        if key.inference {
            Ok(key)
        } else {
            Err(Refusal::NotForInference)
        }
    }

    /// The ids of all keys, for dropping what is kept of keys that are gone.
    pub fn ids(&self) -> impl Iterator<Item = ApiKeyId> {
        self.keys.values().map(|key| key.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(expires: Option<Time>, inference: bool) -> KeyRing {
        let key = Key {
            id: ApiKeyId::from_u128(1),
            project: ProjectId::from_u128(2),
            expires,
            inference,
            requests_per_minute: 0,
        };
        KeyRing::new([KeyEntry {
            digest: Digest::of(b"secret"),
            key,
        }])
    }

    #[test]
    fn a_key_opens_until_it_expires() {
        let ring = ring(Some(Time::from_millis(10)), true);
        let secret = Digest::of(b"secret");
        assert!(ring.authorize(secret, Time::from_millis(9)).is_ok());
        assert_eq!(
            ring.authorize(secret, Time::from_millis(10)),
            Err(Refusal::Expired)
        );
    }

    #[test]
    fn other_secrets_and_other_scopes_do_not_open() {
        let unknown = ring(None, true)
            .authorize(Digest::of(b"Secret"), Time::EPOCH)
            .copied();
        assert_eq!(unknown, Err(Refusal::Unknown));
        let scope = ring(None, false)
            .authorize(Digest::of(b"secret"), Time::EPOCH)
            .copied();
        assert_eq!(scope, Err(Refusal::NotForInference));
    }
}
