//! Languages that a model's output can be held to.

use minicbor::{Decode, Encode};

/// The longest JSON schema, in bytes.
pub const MAX_SCHEMA_BYTES: usize = 64 << 10;

/// The longest grammar that a tenant may send.
pub const MAX_GRAMMAR_BYTES: usize = 8 << 10;

/// The longest regular expression, and the longest text in a schema, which may be one: what compiling
/// takes grows with the square of its length.
pub const MAX_REGEX_BYTES: usize = 4 << 10;

/// The longest grammar that may be made of many schemas.
pub const MAX_LARK_BYTES: usize = 256 << 10;

/// What all the text of an output must follow. JSON schemas, Lark and regular expressions are what
/// `llguidance` reads; OpenAI's API knows the same three.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Constraint {
    /// A JSON schema, as JSON.
    #[n(0)]
    Schema(#[n(0)] String),
    /// A context-free grammar in Lark's syntax, with `%json` for schemas within.
    #[n(1)]
    Lark(#[n(0)] String),
    /// A regular expression.
    #[n(2)]
    Regex(#[n(0)] String),
}

/// Why a constraint is not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} has {given} bytes: at most {most} are accepted")]
pub struct TooLong {
    /// What of it.
    pub what: &'static str,
    /// Its length.
    pub given: usize,
    /// What is accepted.
    pub most: usize,
}

impl Constraint {
    /// Whether it is short enough; texts within a schema are for whoever parses it.
    pub fn check_length(&self) -> Result<(), TooLong> {
        match self {
            Self::Schema(text) => within("the schema", text, MAX_SCHEMA_BYTES),
            Self::Lark(text) => within("the grammar", text, MAX_LARK_BYTES),
            Self::Regex(text) => within("the expression", text, MAX_REGEX_BYTES),
        }
    }
}

/// Whether a part of a constraint is short enough.
pub fn within(what: &'static str, text: &str, most: usize) -> Result<(), TooLong> {
    let given = text.len();
    if given > most {
        return Err(TooLong { what, given, most });
    }
    Ok(())
}
