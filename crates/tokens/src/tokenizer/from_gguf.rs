//! A tokeniser from a GGUF's metadata.

use super::pre::{PreTokenizer, family};
use super::vocabulary::{Kind, Vocabulary};
use super::{Error, Parts, Tokenizer};
use crate::gguf::Metadata;

/// The pre-tokeniser of files that name none, as in llama.cpp.
const UNNAMED: &str = "default";

impl Tokenizer {
    /// A tokeniser from a model file's metadata; ids are those of llama.cpp.
    pub fn from_gguf(metadata: &Metadata) -> Result<Self, Error> {
        let name = metadata.tokenizer_model().ok_or(Error::Missing {
            key: "tokenizer.ggml.model",
        })?;
        if name != "gpt2" {
            return Err(Error::UnsupportedModel {
                model: name.to_owned(),
            });
        }
        let pre = metadata.pre_tokenizer().unwrap_or(UNNAMED);
        let family = family(pre).ok_or_else(|| Error::UnknownPreTokenizer {
            name: pre.to_owned(),
        })?;
        let vocabulary = vocabulary(metadata)?;
        let id = |key, id: Option<u64>| id.map(|id| checked(&vocabulary, key, id)).transpose();
        let eos = id("tokenizer.ggml.eos_token_id", metadata.eos_id())?;
        let eot = id("tokenizer.ggml.eot_token_id", metadata.eot_id())?;
        let eom = id("tokenizer.ggml.eom_token_id", metadata.eom_id())?;
        let bos = id("tokenizer.ggml.bos_token_id", metadata.bos_id())?;
        Self::build(Parts {
            merges: merges(metadata)?,
            ignore_merges: family.ignore_merges,
            pre: PreTokenizer::new(family.patterns)?,
            compose: false,
            bos,
            eos,
            ends: [eos, eot, eom].into_iter().flatten().collect(),
            add_bos: metadata.add_bos().unwrap_or(family.add_bos),
            vocabulary,
        })
    }
}

fn vocabulary(metadata: &Metadata) -> Result<Vocabulary, Error> {
    let types = metadata.token_types();
    let tokens = metadata.tokens().iter().enumerate();
    Vocabulary::new(tokens.map(|(id, text)| (text.clone(), kind(types.get(id).copied()))))
}

/// llama.cpp's numbers for token types. Its "unknown" token is treated like a control token there too.
fn kind(number: Option<i64>) -> Kind {
    match number {
        Some(2 | 3) => Kind::Control,
        Some(4) => Kind::UserDefined,
        Some(5) => Kind::Unused,
        _ => Kind::Word,
    }
}

fn checked(vocabulary: &Vocabulary, key: &'static str, id: u64) -> Result<u32, Error> {
    let known = u32::try_from(id).ok().filter(|id| *id < vocabulary.len());
    known.ok_or(Error::OutsideVocabulary { key, id })
}

fn merges(metadata: &Metadata) -> Result<Vec<(String, String)>, Error> {
    let merges = metadata.merges().iter().enumerate();
    merges
        .map(|(index, merge)| split(merge).ok_or(Error::BadMerge { index }))
        .collect()
}

/// `left right`; a token may begin with a space only where nothing else is possible.
pub(super) fn split(merge: &str) -> Option<(String, String)> {
    let (left, right) = merge.split_once(' ')?;
    Some((left.to_owned(), right.to_owned()))
}
