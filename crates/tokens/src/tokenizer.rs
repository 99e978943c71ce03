//! Byte-level BPE tokenisers, the kind that GGUF calls `gpt2` and Llama 3, Qwen, `SmolLM`, `DeepSeek` and
//! Mistral's tekken use.
//!
//! The merging itself is the `tokenizers` crate's; what is ours is what a hostile file could turn
//! against us: splitting runs on a linear-time regex engine with a closed list of patterns, special
//! tokens are found by one automaton, and vocabulary and merges are checked before the library sees
//! them (it panics on a merge longer than every token).

mod alphabet;
mod from_gguf;
mod from_json;
mod pre;
mod special;
mod vocabulary;

use std::collections::BTreeSet;

use tokenizers::Model;
use tokenizers::models::bpe::BPE;
use unicode_normalization::UnicodeNormalization;

use alphabet::Alphabet;
use pre::PreTokenizer;
use special::Specials;
pub use vocabulary::Kind;
use vocabulary::Vocabulary;

/// Most tokens of a vocabulary.
pub const MAX_TOKENS: usize = 1 << 20;
/// Longest text of one token in bytes.
pub const MAX_TOKEN_BYTES: usize = 4_096;
/// Most special tokens; models made for speech reach 30,000.
pub const MAX_SPECIAL_TOKENS: usize = 1 << 16;
/// Most bytes of all special tokens' texts together, which bounds the automaton that finds them.
pub const MAX_SPECIAL_BYTES: usize = 2 << 20;
/// Longest text that is encoded, in bytes.
pub const MAX_TEXT_BYTES: usize = 16 << 20;
/// Largest `tokenizer.json` in bytes.
pub const MAX_JSON_BYTES: usize = 64 << 20;

/// Why a tokeniser could not be built.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The model file lacks a key.
    #[error("the model file has no {key}")]
    Missing {
        /// The metadata key.
        key: &'static str,
    },
    /// A kind of tokeniser other than byte-level BPE.
    #[error("tokenizer model {model:?} is not supported, only \"gpt2\" (byte-level BPE)")]
    UnsupportedModel {
        /// `tokenizer.ggml.model`, or the model's `type` in a `tokenizer.json`.
        model: String,
    },
    /// `tokenizer.ggml.pre`, or a pattern in a `tokenizer.json`, is not one we know.
    #[error("pre-tokenizer {name:?} is not known: its text would be split wrongly")]
    UnknownPreTokenizer {
        /// The name, or the pattern.
        name: String,
    },
    /// A part of `tokenizer.json` that would change the ids and is not implemented.
    #[error("{what} in tokenizer.json is not supported")]
    Unsupported {
        /// The part.
        what: &'static str,
    },
    /// A size over its limit.
    #[error("{what} is {found}, over the limit of {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its size.
        found: usize,
        /// The most allowed.
        limit: usize,
    },
    /// The vocabulary has no tokens.
    #[error("the vocabulary is empty")]
    Empty,
    /// Two ids with one text, or one id with two texts.
    #[error("token {id} appears twice in the vocabulary")]
    Duplicate {
        /// The id that came second.
        id: usize,
    },
    /// A merge is not two tokens that make a third.
    #[error("merge {index} does not join two tokens to a third")]
    BadMerge {
        /// Which, from 0.
        index: usize,
    },
    /// A special id points outside the vocabulary.
    #[error("{key} is {id}, outside the vocabulary")]
    OutsideVocabulary {
        /// The metadata key.
        key: &'static str,
        /// The id.
        id: u64,
    },
    /// `tokenizer.json` is not the JSON it should be.
    #[error("tokenizer.json cannot be read")]
    Json(#[from] serde_json::Error),
    /// The BPE model was refused by the library.
    #[error("the merges cannot be used")]
    Model(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The automaton for special tokens could not be built.
    #[error("the special tokens cannot be used")]
    Specials(#[from] aho_corasick::BuildError),
    /// A splitting pattern did not compile.
    #[error("the pre-tokenizer's pattern cannot be used")]
    Pattern(#[from] regex::Error),
}

/// Why a text could not be encoded.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// Longer than [`MAX_TEXT_BYTES`].
    #[error("the text has {bytes} bytes, over the limit of {MAX_TEXT_BYTES}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// The library refused a word.
    #[error("the text cannot be merged to tokens")]
    Merge(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// An id that the vocabulary does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("token {id} is not in the vocabulary")]
pub struct UnknownToken {
    /// The id.
    pub id: u32,
}

/// Whether the text of a control token, such as `<|im_start|>`, becomes that token.
///
/// Tokens that a model calls user-defined (`<think>`, `<tool_call>`) are one id in both modes, as in
/// llama.cpp: they are words of the model, not its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Special {
    /// It does: for what a template wrote.
    Parse,
    /// It is ordinary text: for what a user wrote.
    Plain,
}

/// A model's tokeniser.
pub struct Tokenizer {
    vocabulary: Vocabulary,
    alphabet: Alphabet,
    /// Whether each byte has a symbol in the vocabulary.
    known_bytes: [bool; 256],
    model: BPE,
    pre: PreTokenizer,
    specials: Specials,
    ends: BTreeSet<u32>,
    bos: Option<u32>,
    eos: Option<u32>,
    add_bos: bool,
    compose: bool,
}

/// What every source of a tokeniser comes down to.
struct Parts {
    vocabulary: Vocabulary,
    merges: Vec<(String, String)>,
    /// A word that is a token is that token, whatever the merges say.
    ignore_merges: bool,
    pre: PreTokenizer,
    /// Normalise to NFC first.
    compose: bool,
    bos: Option<u32>,
    eos: Option<u32>,
    /// Ids that end generation besides those known by their text.
    ends: Vec<u32>,
    add_bos: bool,
}

impl Tokenizer {
    fn build(parts: Parts) -> Result<Self, Error> {
        let Parts {
            mut vocabulary,
            merges,
            ..
        } = parts;
        let mut ends = special::mark_ends(&mut vocabulary);
        ends.extend(parts.ends);
        let alphabet = Alphabet::new();
        vocabulary.decode_bytes(&alphabet);
        let known_bytes =
            std::array::from_fn(|byte| vocabulary.id(&alphabet.symbol(byte).to_string()).is_some());
        Ok(Self {
            model: model(&vocabulary, merges, parts.ignore_merges)?,
            specials: Specials::new(&vocabulary)?,
            vocabulary,
            alphabet,
            known_bytes,
            pre: parts.pre,
            ends,
            bos: parts.bos,
            eos: parts.eos,
            add_bos: parts.add_bos,
            compose: parts.compose,
        })
    }

    /// The ids of a text, without a token to begin it.
    pub fn encode(&self, text: &str, special: Special) -> Result<Vec<u32>, EncodeError> {
        self.encode_guarded(text, special, None)
    }

    /// As [`Tokenizer::encode`]; `guard` is a character that keeps special tokens apart while they are
    /// looked for, and is no part of the text (see [`crate::prompt`]).
    pub(crate) fn encode_guarded(
        &self,
        text: &str,
        special: Special,
        guard: Option<char>,
    ) -> Result<Vec<u32>, EncodeError> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(EncodeError::TooLong { bytes: text.len() });
        }
        let mut ids = Vec::with_capacity(text.len() / 4);
        let mut from = 0;
        for found in self.specials.find(text, special) {
            self.encode_plain(&text[from..found.start], guard, &mut ids)?;
            ids.push(found.id);
            from = found.end;
        }
        self.encode_plain(&text[from..], guard, &mut ids)?;
        Ok(ids)
    }

    fn encode_plain(
        &self,
        text: &str,
        guard: Option<char>,
        ids: &mut Vec<u32>,
    ) -> Result<(), EncodeError> {
        let changed = guard.is_some_and(|guard| text.contains(guard)) || self.compose;
        if !changed {
            return self.encode_words(text, ids);
        }
        let kept = text.chars().filter(|c| Some(*c) != guard);
        let text: String = if self.compose {
            kept.nfc().collect()
        } else {
            kept.collect()
        };
        self.encode_words(&text, ids)
    }

    fn encode_words(&self, text: &str, ids: &mut Vec<u32>) -> Result<(), EncodeError> {
        for word in self.pre.split(text) {
            // A byte that the vocabulary lacks is lost, as in llama.cpp, and nothing merges across it.
            for part in word
                .as_bytes()
                .split(|byte| !self.known_bytes[usize::from(*byte)])
            {
                self.encode_word(part, ids)?;
            }
        }
        Ok(())
    }

    fn encode_word(&self, word: &[u8], ids: &mut Vec<u32>) -> Result<(), EncodeError> {
        if word.is_empty() {
            return Ok(());
        }
        let symbols = self.alphabet.symbols(word);
        let tokens = self.model.tokenize(&symbols).map_err(EncodeError::Merge)?;
        ids.extend(tokens.into_iter().map(|token| token.id));
        Ok(())
    }

    /// The bytes that a token adds to a text: none for control tokens, `None` for an id that does not exist.
    pub fn token_bytes(&self, id: u32) -> Option<&[u8]> {
        self.vocabulary.bytes(id)
    }

    /// The text of a token as the vocabulary has it, control tokens included (`<|im_end|>`).
    pub fn token_text(&self, id: u32) -> Option<&str> {
        self.vocabulary.text(id)
    }

    /// How a token reads where it is shown by itself: its bytes, or the text of a control token.
    pub fn spelling(&self, id: u32) -> &[u8] {
        match self.token_bytes(id) {
            Some(bytes) if !bytes.is_empty() => bytes,
            Some(_) | None => self.token_text(id).unwrap_or_default().as_bytes(),
        }
    }

    /// What kind of token this is.
    pub fn token_kind(&self, id: u32) -> Option<Kind> {
        self.vocabulary.kind(id)
    }

    /// Whether this token ends generation: end of sequence, turn or message, and what llama.cpp counts with them.
    pub fn is_end(&self, id: u32) -> bool {
        self.ends.contains(&id)
    }

    /// How many ids there are; each is below this.
    pub fn vocab_size(&self) -> u32 {
        self.vocabulary.len()
    }

    /// The token that begins a text.
    pub fn bos(&self) -> Option<u32> {
        self.bos
    }

    /// The token that ends a text.
    pub fn eos(&self) -> Option<u32> {
        self.eos
    }

    /// The token that a prompt must begin with, if it must.
    pub fn prompt_start(&self) -> Option<u32> {
        self.bos.filter(|_| self.add_bos)
    }

    /// The special tokens, for [`crate::prompt`].
    pub(crate) fn specials(&self) -> &Specials {
        &self.specials
    }
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer")
            .field("vocab_size", &self.vocab_size())
            .finish_non_exhaustive()
    }
}

/// The library's model, from merges that it can be given.
fn model(
    vocabulary: &Vocabulary,
    merges: Vec<(String, String)>,
    ignore_merges: bool,
) -> Result<BPE, Error> {
    for (index, (left, right)) in merges.iter().enumerate() {
        let known = |text: &str| vocabulary.id(text).is_some();
        if !(known(left) && known(right) && known(&format!("{left}{right}"))) {
            return Err(Error::BadMerge { index });
        }
    }
    let words: ahash::AHashMap<String, u32> = vocabulary
        .words()
        .map(|(text, id)| (text.to_owned(), id))
        .collect();
    BPE::builder()
        .vocab_and_merges(words, merges)
        .ignore_merges(ignore_merges)
        // The library's cache lives as long as its thread: it would outlive the models of a gateway.
        .cache_capacity(0)
        .build()
        .map_err(Error::Model)
}

fn within(what: &'static str, found: usize, limit: usize) -> Result<(), Error> {
    if found > limit {
        return Err(Error::TooLarge { what, found, limit });
    }
    Ok(())
}
