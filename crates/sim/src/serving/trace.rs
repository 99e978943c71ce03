//! Requests with their content: of chats that were drawn, or of a file.

use std::path::Path;

use remuda_types::Span;

use super::mooncake;
use crate::file::{self, ReadError};
use crate::requests::{Traced, parse_requests};

const COLUMNS: &str = "TIMESTAMP, ContextTokens and GeneratedTokens, or timestamp, input_length, output_length and hash_ids";

/// Tokens of all requests of a file together: their names are kept in memory.
const TOKENS_MAX: u64 = 2_000_000_000;

/// So many tokens of one content: pieces of one name are the same tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Which content.
    pub name: u64,
    /// How many tokens of it.
    pub tokens: u32,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// When the chat that it belongs to began; stretched for the load that is wanted.
    pub opens: Span,
    /// How long after that the request comes; never stretched, for people do not think faster when
    /// there are more of them.
    pub after: Span,
    /// What its prompt consists of.
    pub prompt: Vec<Piece>,
    /// What is written.
    pub answer: Piece,
}

/// Requests, in no order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// All of them.
    pub turns: Vec<Turn>,
}

/// The requests of a file: comma-separated as Azure publishes them, of which nothing is known but
/// lengths, so that no two prompts share anything; or lines of JSON as Mooncake publishes them.
pub fn trace(path: &Path) -> Result<Trace, ReadError> {
    let trace = file::read(path, COLUMNS, |bytes| {
        let bytes = file::without_mark(bytes);
        if bytes.trim_ascii_start().starts_with(b"{") {
            mooncake::parse_mooncake(bytes)
        } else {
            parse_requests(bytes).map(|requests| Trace::unshared(&requests))
        }
    })?;
    if trace.turns.is_empty() {
        let way_out = "a line for each is expected, with times and lengths";
        return Err(ReadError::empty(path, "no request in it", way_out));
    }
    if trace.tokens() > TOKENS_MAX {
        let problem = "more than 2,000,000,000 tokens in it";
        return Err(ReadError::empty(path, problem, "give a part of it"));
    }
    Ok(trace)
}

impl Piece {
    /// The tokens: mixed of the name and of their places.
    pub(super) fn content(self) -> impl Iterator<Item = u32> {
        (0..self.tokens).map(move |at| mixed(self.name, at))
    }
}

impl Turn {
    /// Tokens of the prompt.
    pub fn prompt_tokens(&self) -> u32 {
        let tokens = self.prompt.iter().map(|piece| piece.tokens);
        tokens.fold(0, u32::saturating_add)
    }
}

impl Trace {
    /// All tokens, read and written.
    fn tokens(&self) -> u64 {
        let of = |turn: &Turn| u64::from(turn.prompt_tokens()) + u64::from(turn.answer.tokens);
        self.turns.iter().map(of).fold(0, u64::saturating_add)
    }

    /// Requests of which only the lengths are known: each with a content of its own.
    pub fn unshared(requests: &[Traced]) -> Self {
        let turn = |(at, of): (u64, &Traced)| Turn {
            opens: of.after,
            after: Span::ZERO,
            prompt: vec![Piece {
                name: 2 * at,
                tokens: of.context.max(1),
            }],
            answer: Piece {
                name: 2 * at + 1,
                tokens: of.generated.max(1),
            },
        };
        Self {
            turns: (0..).zip(requests).map(turn).collect(),
        }
    }
}

/// A token of some vocabulary: the finaliser of splitmix64.
fn mixed(name: u64, at: u32) -> u32 {
    let mut word = name.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(at);
    word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    u32::try_from(word >> 47).unwrap_or(u32::MAX)
}
