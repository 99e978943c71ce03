//! The tokens of a model: text, kind and bytes by id, and ids by text.

use std::collections::BTreeMap;

use super::alphabet::Alphabet;
use super::{Error, MAX_TOKEN_BYTES, MAX_TOKENS, within};

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A piece of text.
    Word,
    /// Part of the frame round messages; shows no text and users cannot write it.
    Control,
    /// A word found before splitting, as it stands.
    UserDefined,
    /// An id without use.
    Unused,
}

pub(super) struct Vocabulary {
    tokens: Vec<Token>,
    ids: BTreeMap<String, u32>,
}

struct Token {
    text: Box<str>,
    kind: Kind,
    bytes: Box<[u8]>,
}

impl Vocabulary {
    /// The tokens in order of id. A token without text is unused.
    pub(super) fn new(tokens: impl IntoIterator<Item = (String, Kind)>) -> Result<Self, Error> {
        let mut vocabulary = Self {
            tokens: Vec::new(),
            ids: BTreeMap::new(),
        };
        for (text, kind) in tokens {
            vocabulary.add(text, kind)?;
        }
        if vocabulary.tokens.is_empty() {
            return Err(Error::Empty);
        }
        Ok(vocabulary)
    }

    fn add(&mut self, text: String, kind: Kind) -> Result<(), Error> {
        within("the number of tokens", self.tokens.len() + 1, MAX_TOKENS)?;
        within("the length of a token", text.len(), MAX_TOKEN_BYTES)?;
        let id = self.len();
        let kind = if text.is_empty() { Kind::Unused } else { kind };
        self.tokens.push(Token {
            text: text.as_str().into(),
            kind,
            bytes: Box::default(),
        });
        if !text.is_empty() && self.ids.insert(text, id).is_some() {
            return Err(Error::Duplicate {
                id: self.tokens.len() - 1,
            });
        }
        Ok(())
    }

    /// Fills in the bytes of each token; to be called when the kinds are settled.
    pub(super) fn decode_bytes(&mut self, alphabet: &Alphabet) {
        for token in &mut self.tokens {
            token.bytes = match token.kind {
                Kind::Word => alphabet.decode(&token.text),
                Kind::UserDefined => token.text.as_bytes().into(),
                Kind::Control | Kind::Unused => Box::default(),
            };
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "at most MAX_TOKENS, which is below 2^32"
    )]
    pub(super) fn len(&self) -> u32 {
        self.tokens.len() as u32
    }

    pub(super) fn id(&self, text: &str) -> Option<u32> {
        self.ids.get(text).copied()
    }

    pub(super) fn text(&self, id: u32) -> Option<&str> {
        self.token(id).map(|token| &*token.text)
    }

    pub(super) fn kind(&self, id: u32) -> Option<Kind> {
        self.token(id).map(|token| token.kind)
    }

    pub(super) fn bytes(&self, id: u32) -> Option<&[u8]> {
        self.token(id).map(|token| &*token.bytes)
    }

    pub(super) fn set_kind(&mut self, id: u32, kind: Kind) {
        if let Some(token) = self.tokens.get_mut(id as usize) {
            token.kind = kind;
        }
    }

    /// Text and id of every token that has a text.
    pub(super) fn words(&self) -> impl Iterator<Item = (&str, u32)> {
        self.ids.iter().map(|(text, id)| (text.as_str(), *id))
    }

    fn token(&self, id: u32) -> Option<&Token> {
        self.tokens.get(id as usize)
    }
}
