//! The header and metadata of a GGUF file, from its first bytes.
//!
//! Our own reader, because the crates there are (`ggus`, `gguf-rs`, `gguf`) either want the whole file,
//! allocate by lengths that the file claims, or cannot say "give me more bytes". This one borrows a
//! slice, allocates only for bytes it has seen, and names each limit it enforces.

mod reader;
mod value;

use std::collections::BTreeMap;

pub use value::{Kind, Value};

use reader::Reader;

/// Most keys a file may have; models carry 20 to 80.
pub const MAX_KEYS: u64 = 4_096;
/// Longest key in bytes, as the GGUF specification has it.
pub const MAX_KEY_BYTES: u64 = 65_535;
/// Longest string value in bytes; chat templates reach 30 KiB.
pub const MAX_STRING_BYTES: u64 = 1 << 20;
/// Most elements of all arrays together; the largest vocabularies need about 1.5 million.
pub const MAX_ELEMENTS: u64 = 4 << 20;
/// Most tensors a file may have.
pub const MAX_TENSORS: u64 = 1 << 17;
/// Most dimensions of a tensor; ggml knows four.
pub const MAX_DIMENSIONS: u64 = 8;
/// Most bytes of header, metadata and tensor infos together.
pub const MAX_TOTAL_BYTES: u64 = 128 << 20;

/// Why bytes could not be read as the start of a GGUF.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The first four bytes are not `GGUF`.
    #[error("not a GGUF file: it does not begin with the bytes \"GGUF\"")]
    NotGguf,
    /// A version other than 2 or 3 (a big-endian file shows as a huge version).
    #[error("GGUF version {version} is not supported, only 2 and 3: convert the file again")]
    UnsupportedVersion {
        /// The version the file claims.
        version: u32,
    },
    /// The slice ends before the metadata does.
    #[error("the file goes on: at least its first {needed_at_least} bytes are needed")]
    Truncated {
        /// A lower bound on the bytes needed; growing the slice at least twofold each time is quicker.
        needed_at_least: u64,
    },
    /// A length is over a limit.
    #[error("{what} is {found}, over the limit of {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The length the file claims.
        found: u64,
        /// The most that is read.
        limit: u64,
    },
    /// The bytes contradict the format.
    #[error("malformed at byte {offset}: {what}")]
    Malformed {
        /// What is wrong.
        what: &'static str,
        /// Bytes from the start of the file.
        offset: u64,
    },
    /// A key that the format defines has a value of another type.
    #[error("key {key} must be of type {expected}")]
    WrongType {
        /// The key.
        key: String,
        /// The type it should have.
        expected: Kind,
    },
}

/// Keys that have a fixed type; checked once in [`Metadata::parse`], so that reading them cannot fail.
const TYPED: &[(&str, Kind)] = &[
    ("general.architecture", Kind::Text),
    ("general.name", Kind::Text),
    ("tokenizer.chat_template", Kind::Text),
    ("tokenizer.ggml.model", Kind::Text),
    ("tokenizer.ggml.pre", Kind::Text),
    ("tokenizer.ggml.tokens", Kind::Texts),
    ("tokenizer.ggml.merges", Kind::Texts),
    ("tokenizer.ggml.token_type", Kind::Integers),
    ("tokenizer.ggml.bos_token_id", Kind::Integer),
    ("tokenizer.ggml.eos_token_id", Kind::Integer),
    ("tokenizer.ggml.eot_token_id", Kind::Integer),
    ("tokenizer.ggml.eom_token_id", Kind::Integer),
    ("tokenizer.ggml.add_bos_token", Kind::Bool),
];

/// The metadata of a model file.
#[derive(Clone, Debug, PartialEq)]
pub struct Metadata {
    version: u32,
    tensors: u64,
    values: BTreeMap<String, Value>,
    tensor_infos_end: Option<u64>,
}

impl Metadata {
    /// Reads the metadata from the file's first bytes. `bytes` may end anywhere after the metadata;
    /// where it ends sooner, [`Error::Truncated`] says how much more to give.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes);
        let version = header(&mut reader)?;
        let tensors = reader.count("the number of tensors", MAX_TENSORS)?;
        let keys = reader.count("the number of keys", MAX_KEYS)?;
        let mut values = BTreeMap::new();
        for _ in 0..keys {
            let offset = reader.offset();
            let key = reader.text("the length of a key", MAX_KEY_BYTES)?;
            if values.insert(key, value::read(&mut reader)?).is_some() {
                return Err(Error::Malformed {
                    what: "a key appears twice",
                    offset,
                });
            }
        }
        check_types(&values)?;
        let tensor_infos_end = skip_tensor_infos(&mut reader, tensors)?;
        Ok(Self {
            version,
            tensors,
            values,
            tensor_infos_end,
        })
    }

    /// The GGUF version: 2 or 3.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// How many tensors the file holds.
    pub fn tensors(&self) -> u64 {
        self.tensors
    }

    /// Where header, metadata and tensor infos end, in bytes from the start, if the slice reached there.
    pub fn tensor_infos_end(&self) -> Option<u64> {
        self.tensor_infos_end
    }

    /// The value of any key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.values.get(key)
    }

    /// The model's architecture (`general.architecture`).
    pub fn architecture(&self) -> Option<&str> {
        self.text("general.architecture")
    }

    /// The model's name (`general.name`).
    pub fn name(&self) -> Option<&str> {
        self.text("general.name")
    }

    /// The context length in tokens that the model was trained for.
    pub fn context_length(&self) -> Option<u64> {
        self.integer(&format!("{}.context_length", self.architecture()?))
    }

    /// The chat template's source (`tokenizer.chat_template`).
    pub fn chat_template(&self) -> Option<&str> {
        self.text("tokenizer.chat_template")
    }

    /// The kind of tokeniser (`tokenizer.ggml.model`): `gpt2`, `llama`, ...
    pub fn tokenizer_model(&self) -> Option<&str> {
        self.text("tokenizer.ggml.model")
    }

    /// The pre-tokeniser's name (`tokenizer.ggml.pre`).
    pub fn pre_tokenizer(&self) -> Option<&str> {
        self.text("tokenizer.ggml.pre")
    }

    /// The vocabulary; a token's index is its id.
    pub fn tokens(&self) -> &[String] {
        self.texts("tokenizer.ggml.tokens")
    }

    /// The merges, best first, each two tokens with a space between.
    pub fn merges(&self) -> &[String] {
        self.texts("tokenizer.ggml.merges")
    }

    /// The type of each token as llama.cpp numbers them; empty where the file has none.
    pub fn token_types(&self) -> &[i64] {
        match self.get("tokenizer.ggml.token_type") {
            Some(Value::Integers(types)) => types,
            _ => &[],
        }
    }

    /// The token that begins a text.
    pub fn bos_id(&self) -> Option<u64> {
        self.integer("tokenizer.ggml.bos_token_id")
    }

    /// The token that ends a text.
    pub fn eos_id(&self) -> Option<u64> {
        self.integer("tokenizer.ggml.eos_token_id")
    }

    /// The token that ends a turn.
    pub fn eot_id(&self) -> Option<u64> {
        self.integer("tokenizer.ggml.eot_token_id")
    }

    /// The token that ends a message.
    pub fn eom_id(&self) -> Option<u64> {
        self.integer("tokenizer.ggml.eom_token_id")
    }

    /// Whether a prompt begins with [`Metadata::bos_id`]; where absent, the pre-tokeniser decides.
    pub fn add_bos(&self) -> Option<bool> {
        match self.get("tokenizer.ggml.add_bos_token") {
            Some(Value::Bool(add)) => Some(*add),
            _ => None,
        }
    }

    fn text(&self, key: &str) -> Option<&str> {
        match self.get(key) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    fn integer(&self, key: &str) -> Option<u64> {
        match self.get(key) {
            Some(Value::Integer(number)) => u64::try_from(*number).ok(),
            _ => None,
        }
    }

    fn texts(&self, key: &str) -> &[String] {
        match self.get(key) {
            Some(Value::Texts(texts)) => texts,
            _ => &[],
        }
    }
}

fn header(reader: &mut Reader<'_>) -> Result<u32, Error> {
    reader.magic(*b"GGUF")?;
    match reader.u32()? {
        version @ (2 | 3) => Ok(version),
        version => Err(Error::UnsupportedVersion { version }),
    }
}

fn check_types(values: &BTreeMap<String, Value>) -> Result<(), Error> {
    let wrong = TYPED
        .iter()
        .find(|(key, kind)| values.get(*key).is_some_and(|v| v.kind() != *kind));
    wrong.map_or(Ok(()), |(key, kind)| {
        Err(Error::WrongType {
            key: (*key).to_owned(),
            expected: *kind,
        })
    })
}

/// Walks the tensor infos to learn where they end; `None` where the slice ends first.
fn skip_tensor_infos(reader: &mut Reader<'_>, tensors: u64) -> Result<Option<u64>, Error> {
    for _ in 0..tensors {
        match skip_tensor_info(reader) {
            Ok(()) => {}
            Err(Error::Truncated { .. }) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Ok(Some(reader.offset()))
}

fn skip_tensor_info(reader: &mut Reader<'_>) -> Result<(), Error> {
    let name = reader.count("the length of a tensor's name", MAX_KEY_BYTES)?;
    reader.take(name)?;
    let dimensions = u64::from(reader.u32()?);
    reader::within("the number of dimensions", dimensions, MAX_DIMENSIONS)?;
    // Each dimension is a u64; then the type (u32) and the offset (u64).
    reader.take(dimensions * 8 + 4 + 8).map(|_| ())
}
