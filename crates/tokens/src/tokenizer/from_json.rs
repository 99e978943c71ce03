//! A tokeniser from Hugging Face's `tokenizer.json`.
//!
//! Read into a closed shape: what it names and we do not implement is an error, because ignoring a
//! normaliser or a splitter gives other ids than the model's.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::pre::{Pattern, PreTokenizer, written};
use super::vocabulary::{Kind, Vocabulary};
use super::{Error, MAX_JSON_BYTES, MAX_TOKENS, Parts, Tokenizer, from_gguf, within};

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    added_tokens: Vec<AddedToken>,
    normalizer: Option<Normalizer>,
    pre_tokenizer: Option<PreTokenizerJson>,
    model: Model,
}

#[derive(Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "the file's own shape")]
struct AddedToken {
    id: u32,
    content: String,
    #[serde(default)]
    special: bool,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum Normalizer {
    #[serde(rename = "NFC")]
    Nfc,
    Sequence {
        normalizers: Vec<Normalizer>,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum PreTokenizerJson {
    ByteLevel {
        #[serde(default)]
        add_prefix_space: bool,
        #[serde(default = "yes")]
        use_regex: bool,
    },
    Digits {
        #[serde(default)]
        individual_digits: bool,
    },
    Split {
        pattern: SplitPattern,
        behavior: String,
        #[serde(default)]
        invert: bool,
    },
    Sequence {
        pretokenizers: Vec<PreTokenizerJson>,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
enum SplitPattern {
    Regex(String),
    String(String),
}

#[derive(Deserialize)]
struct Model {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    vocab: BTreeMap<String, u32>,
    #[serde(default)]
    merges: Vec<Merge>,
    dropout: Option<f32>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
    #[serde(default)]
    byte_fallback: bool,
    #[serde(default)]
    ignore_merges: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Merge {
    Pair([String; 2]),
    Joined(String),
}

fn yes() -> bool {
    true
}

impl Tokenizer {
    /// A tokeniser from the bytes of a `tokenizer.json`; ids are those of Hugging Face's tokenisers.
    ///
    /// The file does not say which token begins a prompt: templates write it themselves.
    pub fn from_json(bytes: &[u8]) -> Result<Self, Error> {
        within("the size of tokenizer.json", bytes.len(), MAX_JSON_BYTES)?;
        let kind: TypeOnly = serde_json::from_slice(bytes)?;
        if let Some(model) = kind.model.kind.filter(|kind| kind != "BPE") {
            return Err(Error::UnsupportedModel { model });
        }
        let file: File = serde_json::from_slice(bytes)?;
        refuse_unsupported(&file)?;
        let compose = composes(file.normalizer.as_ref())?;
        let mut passes = Vec::new();
        let pre = file.pre_tokenizer.ok_or(Error::Unsupported {
            what: "the lack of a pre_tokenizer",
        })?;
        if !patterns(pre, &mut passes)? {
            return Err(Error::Unsupported {
                what: "a pre_tokenizer without ByteLevel",
            });
        }
        Self::build(Parts {
            vocabulary: vocabulary(file.model.vocab, file.added_tokens)?,
            merges: merges(file.model.merges)?,
            ignore_merges: file.model.ignore_merges,
            pre: PreTokenizer::new(&passes)?,
            compose,
            bos: None,
            eos: None,
            ends: Vec::new(),
            add_bos: false,
        })
    }
}

/// Enough of the file to tell another model's shape from a broken file.
#[derive(Deserialize)]
struct TypeOnly {
    model: TypeOnlyModel,
}

#[derive(Deserialize)]
struct TypeOnlyModel {
    #[serde(rename = "type")]
    kind: Option<String>,
}

fn refuse_unsupported(file: &File) -> Result<(), Error> {
    let set = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
    let model = &file.model;
    let trims = |token: &AddedToken| token.single_word || token.lstrip || token.rstrip;
    let parts = [
        (model.kind.is_none(), "a model without type"),
        (
            model.dropout.is_some_and(|dropout| dropout > 0.0),
            "dropout",
        ),
        (
            set(&model.continuing_subword_prefix),
            "continuing_subword_prefix",
        ),
        (set(&model.end_of_word_suffix), "end_of_word_suffix"),
        (model.byte_fallback, "byte_fallback"),
        (
            file.added_tokens.iter().any(trims),
            "an added token that trims its surroundings",
        ),
    ];
    let found = parts.into_iter().find(|(present, _)| *present);
    found.map_or(Ok(()), |(_, what)| Err(Error::Unsupported { what }))
}

/// Whether text is normalised to NFC first.
fn composes(normalizer: Option<&Normalizer>) -> Result<bool, Error> {
    match normalizer {
        None => Ok(false),
        Some(Normalizer::Nfc) => Ok(true),
        Some(Normalizer::Sequence { normalizers }) => normalizers
            .iter()
            .try_fold(false, |composed, one| Ok(composed | composes(Some(one))?)),
        Some(Normalizer::Other) => Err(Error::Unsupported {
            what: "a normalizer other than NFC",
        }),
    }
}

/// Collects the patterns of a pre-tokeniser in order; whether it ends in bytes.
fn patterns(pre: PreTokenizerJson, into: &mut Vec<Pattern>) -> Result<bool, Error> {
    match pre {
        PreTokenizerJson::ByteLevel {
            add_prefix_space: true,
            ..
        } => Err(Error::Unsupported {
            what: "add_prefix_space",
        }),
        PreTokenizerJson::ByteLevel { use_regex, .. } => {
            into.extend(use_regex.then_some(Pattern::Gpt2));
            Ok(true)
        }
        PreTokenizerJson::Digits { individual_digits } => {
            into.push(if individual_digits {
                Pattern::Digit
            } else {
                Pattern::Digits
            });
            Ok(false)
        }
        PreTokenizerJson::Split {
            pattern,
            behavior,
            invert,
        } => {
            into.push(split(pattern, &behavior, invert)?);
            Ok(false)
        }
        PreTokenizerJson::Sequence { pretokenizers } => pretokenizers
            .into_iter()
            .try_fold(false, |bytes, one| Ok(bytes | patterns(one, into)?)),
        PreTokenizerJson::Other => Err(Error::Unsupported {
            what: "this kind of pre_tokenizer",
        }),
    }
}

fn split(pattern: SplitPattern, behavior: &str, invert: bool) -> Result<Pattern, Error> {
    if invert || behavior != "Isolated" {
        return Err(Error::Unsupported {
            what: "a Split that is not Isolated",
        });
    }
    match pattern {
        SplitPattern::Regex(text) => {
            written(&text).ok_or(Error::UnknownPreTokenizer { name: text })
        }
        SplitPattern::String(text) => Err(Error::UnknownPreTokenizer { name: text }),
    }
}

fn merges(merges: Vec<Merge>) -> Result<Vec<(String, String)>, Error> {
    let pair = |(index, merge)| match merge {
        Merge::Pair([left, right]) => Ok((left, right)),
        Merge::Joined(text) => from_gguf::split(&text).ok_or(Error::BadMerge { index }),
    };
    merges.into_iter().enumerate().map(pair).collect()
}

/// Words and added tokens by id; ids without either are unused.
fn vocabulary(words: BTreeMap<String, u32>, added: Vec<AddedToken>) -> Result<Vocabulary, Error> {
    let mut tokens: BTreeMap<usize, (String, Kind)> = BTreeMap::new();
    for (text, id) in words {
        let id = id as usize;
        if tokens.insert(id, (text, Kind::Word)).is_some() {
            return Err(Error::Duplicate { id });
        }
    }
    for token in added {
        let kind = if token.special {
            Kind::Control
        } else {
            Kind::UserDefined
        };
        let id = token.id as usize;
        let before = tokens.insert(id, (token.content.clone(), kind));
        if before.is_some_and(|(text, _)| text != token.content) {
            return Err(Error::Duplicate { id });
        }
    }
    let size = tokens.last_key_value().map_or(0, |(id, _)| id + 1);
    within("the number of tokens", size, MAX_TOKENS)?;
    Vocabulary::new((0..size).map(|id| tokens.remove(&id).unwrap_or((String::new(), Kind::Unused))))
}
