//! Texts of tenants and providers: names, tags, specs.
//!
//! They lie beside the journal, each encrypted under a key of its owner; events carry keyed digests
//! ([`Label`]s) in their place. Control's own key wraps the owners' keys. Erasing an owner destroys
//! its key and rows, and leaves labels that mean nothing (DESIGN, invariant 7).

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

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

/// The texts, decrypted in memory, and the keys. Cheap to clone.
#[derive(Clone)]
pub struct Vault {
    control_key: Zeroizing<[u8; 32]>,
    inner: Arc<RwLock<Inner>>,
}

#[derive(Default)]
struct Inner {
    keys: HashMap<Owner, Zeroizing<[u8; 32]>>,
    texts: HashMap<Label, Text>,
}

#[derive(Default)]
struct Text {
    plain: String,
    /// Whether a durable command carried it.
    durable: bool,
    /// Requests that carry it and are not decided yet.
    held: usize,
}

/// A text that can be read while its command is under way. Dropped, it is forgotten again, unless
/// it is another request's, too, or is durable.
#[must_use = "a text that nobody holds is forgotten"]
pub struct Held {
    inner: Arc<RwLock<Inner>>,
    label: Label,
    durable: bool,
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
            inner: Arc::default(),
        };
        vault.read(reader)?;
        Ok(vault)
    }

    /// Takes in what the journal has beyond what is known. What cannot be read stays unreadable.
    pub(crate) fn restore(&self, reader: &Reader) {
        if let Err(error) = self.read(reader) {
            tracing::error!(%error, "texts cannot be read back");
        }
    }

    fn read(&self, reader: &Reader) -> Result<(), OpenError> {
        let rows = reader.sealed_all()?;
        let mut inner = write(&self.inner);
        for row in rows.iter().filter(|row| row.key == KEY_ROW) {
            let key = open(&self.control_key, &row.ciphertext).ok_or(OpenError::WrongKey)?;
            let key = <[u8; 32]>::try_from(&key[..]).map_err(|_| OpenError::WrongKey)?;
            inner.keys.insert(row.owner, Zeroizing::new(key));
        }
        for row in rows.iter().filter(|row| row.key != KEY_ROW) {
            let key = inner.keys.get(&row.owner).ok_or(OpenError::WrongKey)?;
            let text = open(key, &row.ciphertext).ok_or(OpenError::WrongKey)?;
            let text = String::from_utf8(text).map_err(|_| OpenError::WrongKey)?;
            let known = inner.texts.entry(row.key).or_default();
            (known.plain, known.durable) = (text, true);
        }
        Ok(())
    }

    /// The label of an owner's text, whether or not it is known. `domain` keeps apart what is named.
    pub fn label(&self, owner: Owner, domain: &str, text: &str) -> Label {
        Label::keyed(&self.key_of(owner), domain, text)
    }

    /// Seals a text. [`Vault::hold`] makes it readable while its command is under way.
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

    /// Makes a sealed text readable until it is decided what becomes of its command.
    pub fn hold(&self, label: Label, text: &str) -> Held {
        let mut inner = write(&self.inner);
        let known = inner.texts.entry(label).or_default();
        text.clone_into(&mut known.plain);
        known.held += 1;
        drop(inner);
        Held {
            inner: Arc::clone(&self.inner),
            label,
            durable: false,
        }
    }

    /// The text behind a label; a placeholder when its owner was erased.
    pub fn text(&self, label: Label) -> String {
        let known = read(&self.inner)
            .texts
            .get(&label)
            .map(|of| of.plain.clone());
        known.unwrap_or_else(|| "(erased)".to_owned())
    }

    fn key_of(&self, owner: Owner) -> Zeroizing<[u8; 32]> {
        write(&self.inner)
            .keys
            .entry(owner)
            .or_insert_with(|| Zeroizing::new(clock::secret()))
            .clone()
    }
}

fn read(inner: &RwLock<Inner>) -> RwLockReadGuard<'_, Inner> {
    inner.read().unwrap_or_else(PoisonError::into_inner)
}

fn write(inner: &RwLock<Inner>) -> RwLockWriteGuard<'_, Inner> {
    inner.write().unwrap_or_else(PoisonError::into_inner)
}

impl Held {
    /// The command that carried it is durable.
    pub fn keep(mut self) {
        self.durable = true;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut inner = write(&self.inner);
        let Some(known) = inner.texts.get_mut(&self.label) else {
            return;
        };
        known.held = known.held.saturating_sub(1);
        known.durable |= self.durable;
        if known.held == 0 && !known.durable {
            inner.texts.remove(&self.label);
        }
    }
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Held")
            .field("label", &self.label)
            .finish_non_exhaustive()
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
    /// The text, for [`Vault::hold`].
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

    const OWNER: Owner = [1; 16];

    fn vault() -> Vault {
        Vault {
            control_key: Zeroizing::new([9; 32]),
            inner: Arc::default(),
        }
    }

    #[test]
    fn what_a_refused_request_brought_is_forgotten() {
        let vault = vault();
        let sealing = vault.seal(OWNER, "spec", "a spec");
        let held = vault.hold(sealing.label, sealing.text());
        assert_eq!(
            vault.text(sealing.label),
            "a spec",
            "its events may name it"
        );
        drop(held);
        assert!(read(&vault.inner).texts.is_empty());
    }

    #[test]
    fn what_a_durable_command_brought_outlives_a_refused_one_of_the_same() {
        let vault = vault();
        let label = vault.seal(OWNER, "name", "Acme").label;
        let (first, second) = (vault.hold(label, "Acme"), vault.hold(label, "Acme"));
        drop(first);
        assert_eq!(vault.text(label), "Acme", "the second is under way");
        second.keep();
        drop(vault.hold(label, "Acme"));
        assert_eq!(vault.text(label), "Acme");
    }
}
