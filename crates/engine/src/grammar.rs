//! GBNF grammars, through llama.cpp's own machine.
//!
//! A grammar's state is rebuilt on another replica by replaying the generated tokens. llama.cpp
//! ends the process if it is fed a token that its grammar forbids, so every token is asked about
//! first; and its parser recurses with the nesting of groups, so that is bounded here.
//!
//! llama.cpp prints a grammar that it cannot parse to standard error. That is a tenant's text: the
//! parent of an engine keeps the engine's standard error out of its logs.

use std::fmt;

use llama_cpp_2::GrammarError;
use llama_cpp_2::sampling::LlamaSampler;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::token::data::LlamaTokenData;
use llama_cpp_2::token::data_array::LlamaTokenDataArray;

use crate::model::Model;

/// The longest grammar, in bytes.
pub const MAX_GRAMMAR_BYTES: usize = 64 << 10;

/// The deepest nesting of groups.
pub const MAX_GROUP_DEPTH: usize = 64;

/// The rule that a grammar starts from.
const ROOT: &str = "root";

/// Why a grammar cannot be followed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is too long.
    #[error("the grammar has {given} bytes: at most {MAX_GRAMMAR_BYTES} are accepted")]
    TooLong {
        /// Its length.
        given: usize,
    },
    /// It is nested too deeply.
    #[error("the grammar's groups are nested deeper than {MAX_GROUP_DEPTH}")]
    TooDeep,
    /// It is not GBNF.
    #[error("the grammar is not GBNF with a rule `root` and without left recursion")]
    Malformed(#[source] GrammarError),
    /// The tokens to go on from do not follow it.
    #[error("generated token {index} does not follow the grammar")]
    OffGrammar {
        /// The first index that does not.
        index: usize,
    },
}

/// A grammar and how far the output has come in it.
pub struct Grammar {
    sampler: LlamaSampler,
    scratch: LlamaTokenDataArray,
}

impl fmt::Debug for Grammar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grammar").finish_non_exhaustive()
    }
}

impl Grammar {
    /// Compiles `text` for the model's vocabulary and replays `generated`.
    pub fn compile(model: &Model, text: &str, generated: &[u32]) -> Result<Self, Error> {
        check_bounds(text)?;
        let sampler = LlamaSampler::grammar(model.llama(), text, ROOT).map_err(Error::Malformed)?;
        let mut grammar = Self {
            sampler,
            scratch: LlamaTokenDataArray::new(Vec::new(), false),
        };
        for (index, &token) in generated.iter().enumerate() {
            if !grammar.accept(token) {
                return Err(Error::OffGrammar { index });
            }
        }
        Ok(grammar)
    }

    /// Whether the output may go on with `token`.
    pub fn allows(&mut self, token: u32) -> bool {
        self.scratch.data.clear();
        self.scratch.data.push(candidate(token, 0.0));
        self.scratch.apply_sampler(&mut self.sampler);
        self.scratch
            .data
            .first()
            .is_some_and(|only| only.logit() > f32::NEG_INFINITY)
    }

    /// Goes on with `token` if that is allowed.
    pub fn accept(&mut self, token: u32) -> bool {
        let allowed = self.allows(token);
        if allowed {
            self.sampler.accept(LlamaToken(token.cast_signed()));
        }
        allowed
    }

    /// Sets the value of every token that is not allowed to negative infinity.
    pub fn mask(&mut self, values: &mut [f32]) {
        self.scratch.data.clear();
        self.scratch
            .data
            .extend((0..).zip(&*values).map(|(id, &value)| candidate(id, value)));
        self.scratch.apply_sampler(&mut self.sampler);
        for (value, masked) in values.iter_mut().zip(&self.scratch.data) {
            *value = masked.logit();
        }
    }
}

fn candidate(token: u32, value: f32) -> LlamaTokenData {
    LlamaTokenData::new(LlamaToken(token.cast_signed()), value, 0.0)
}

fn check_bounds(text: &str) -> Result<(), Error> {
    if text.len() > MAX_GRAMMAR_BYTES {
        return Err(Error::TooLong { given: text.len() });
    }
    if group_depth(text) > MAX_GROUP_DEPTH {
        Err(Error::TooDeep)
    } else {
        Ok(())
    }
}

/// The deepest nesting of parentheses outside literals, character classes and comments.
fn group_depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => skip_to(&mut bytes, b'"'),
            b'[' => skip_to(&mut bytes, b']'),
            b'#' => skip_to(&mut bytes, b'\n'),
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

fn skip_to(bytes: &mut std::str::Bytes<'_>, end: u8) {
    while let Some(byte) = bytes.next() {
        if byte == end {
            return;
        }
        if byte == b'\\' {
            bytes.next();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_groups_nest() {
        assert_eq!(
            group_depth(r#"root ::= ("((((" | [(((\](] (a)) # ((((("#),
            2
        );
        assert_eq!(
            check_bounds(&format!("root ::= {}", "(".repeat(65))),
            Err(Error::TooDeep)
        );
        assert!(check_bounds(&" ".repeat(MAX_GRAMMAR_BYTES + 1)).is_err());
    }

    proptest! {
        #[test]
        fn any_text_has_a_depth(text in ".{0,200}") {
            prop_assert!(group_depth(&text) <= text.len());
        }
    }
}
