//! Texts of tenants and providers: names, tags, specs.
//!
//! They lie beside the journal, each encrypted under a key of its owner; events carry keyed digests
//! ([`Label`]s) in their place. Control's own key wraps the owners' keys. Erasing an owner destroys
//! its key and rows, and leaves labels that mean nothing (DESIGN, invariant 7).

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use remuda_journal::{ReadError, Reader, SealedRow, Side};
use remuda_types::Label;
use zeroize::Zeroizing;

use crate::clock;

/// Whose texts: 128 bits of a tenant's or provider's id; zero is the operator's.
pub type Owner = [u8; 16];

/// The operator's own texts: models, and the names that must be unique over all owners.
pub const OPERATOR: Owner = [0; 16];

const NONCE_BYTES: usize = 24;

/// The texts, decrypted in memory, and the keys.
pub struct Vault {
    control_key: Zeroizing<[u8; 32]>,
    inner: RwLock<Inner>,
}

#[derive(Default)]
struct Inner {
    keys: HashMap<Owner, Zeroizing<[u8; 32]>>,
    texts: HashMap<Label, String>,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vault").finish_non_exhaustive()
    }
}

/// Why the vault cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The journal cannot be read.
    #[error("the journal cannot be read")]
    Read(#[from] ReadError),
    /// The key is not the one that sealed.
    #[error(
        "control's key is not the one that sealed this journal's texts: put back the `control.key` that was beside it"
    )]
    WrongKey,
}

/// A text on its way in: its label for the command, its rows for the same batch.
#[derive(Debug)]
pub struct Sealing {
    /// Stands in the events.
    pub label: Label,
    /// Go with the command.
    pub sides: Vec<Side>,
    text: String,
}

impl Vault {
    /// Decrypts what the journal has.
    pub fn open(control_key: [u8; 32], reader: &Reader) -> Result<Self, OpenError> {
        let vault = Self {
            control_key: Zeroizing::new(blake3::derive_key("remuda vault wrap v1", &control_key)),
            inner: RwLock::default(),
        };
        let rows = reader.sealed_all()?;
        let mut inner = Inner::default();
        for row in rows.iter().filter(|row| row.key == KEY_ROW) {
            let key = open(&vault.control_key, &row.ciphertext).ok_or(OpenError::WrongKey)?;
            let key = <[u8; 32]>::try_from(&key[..]).map_err(|_| OpenError::WrongKey)?;
            inner.keys.insert(row.owner, Zeroizing::new(key));
        }
        for row in rows.iter().filter(|row| row.key != KEY_ROW) {
            let key = inner.keys.get(&row.owner).ok_or(OpenError::WrongKey)?;
            let text = open(key, &row.ciphertext).ok_or(OpenError::WrongKey)?;
            let text = String::from_utf8(text).map_err(|_| OpenError::WrongKey)?;
            inner.texts.insert(row.key, text);
        }
        *vault.inner.write().unwrap_or_else(PoisonError::into_inner) = inner;
        Ok(vault)
    }

    /// The label of an owner's text, whether or not it is known. `domain` keeps apart what is named.
    pub fn label(&self, owner: Owner, domain: &str, text: &str) -> Label {
        Label::keyed(&self.key_of(owner), domain, text)
    }

    /// Seals a text. Call [`Vault::keep`] when the command that carries it is durable.
    pub fn seal(&self, owner: Owner, domain: &str, text: &str) -> Sealing {
        let key = self.key_of(owner);
        let label = Label::keyed(&key, domain, text);
        let sides = vec![
            // The wrapped key goes along every time: the batch that first carried it may have failed.
            sealed_row(owner, KEY_ROW, &self.control_key, &key[..]),
            sealed_row(owner, label, &key, text.as_bytes()),
        ];
        Sealing {
            label,
            sides,
            text: text.to_owned(),
        }
    }

    /// Makes a sealed text readable.
    pub fn keep(&self, label: Label, text: &str) {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        inner.texts.insert(label, text.to_owned());
    }

    /// The text behind a label; a placeholder when its owner was erased.
    pub fn text(&self, label: Label) -> String {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        inner
            .texts
            .get(&label)
            .cloned()
            .unwrap_or_else(|| "(erased)".to_owned())
    }

    fn key_of(&self, owner: Owner) -> Zeroizing<[u8; 32]> {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        inner
            .keys
            .entry(owner)
            .or_insert_with(|| Zeroizing::new(clock::secret()))
            .clone()
    }
}

fn sealed_row(owner: Owner, label: Label, key: &[u8; 32], plain: &[u8]) -> Side {
    Side::Sealed(SealedRow {
        owner,
        key: label,
        ciphertext: seal(key, plain),
    })
}

impl Sealing {
    /// The text, for [`Vault::keep`].
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// Where an owner's wrapped key lies among its rows.
const KEY_ROW: Label = Label([0; 16]);

fn cipher(key: &[u8; 32]) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.into())
}

#[expect(
    clippy::expect_used,
    reason = "the cipher's one error is a plaintext of 256 GiB"
)]
fn seal(key: &[u8; 32], plain: &[u8]) -> Vec<u8> {
    let mut nonce = [0; NONCE_BYTES];
    nonce.copy_from_slice(&clock::secret()[..NONCE_BYTES]);
    let sealed = cipher(key).encrypt(XNonce::from_slice(&nonce), plain);
    [&nonce[..], &sealed.expect("the text is small")].concat()
}

fn open(key: &[u8; 32], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, ciphertext) = sealed.split_at_checked(NONCE_BYTES)?;
    cipher(key)
        .decrypt(XNonce::from_slice(nonce), ciphertext)
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_with_the_same_key_only() {
        let sealed = seal(&[1; 32], b"a name");
        assert_eq!(open(&[1; 32], &sealed), Some(b"a name".to_vec()));
        assert_eq!(open(&[2; 32], &sealed), None);
        assert_eq!(open(&[1; 32], &sealed[..10]), None);
        assert!(!sealed.windows(6).any(|window| window == b"a name"));
    }
}
