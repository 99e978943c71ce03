//! What a request wants of the replica that it goes to.

use std::hash::{BuildHasher, Hasher};

use foldhash::quality::FixedState;
use remuda_types::{Price, Span};

use crate::prefix::Prefix;

/// What a request wants. The default wants nothing in particular, and says nothing of its prompt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// The prompt, or as much of it as should be in a replica's cache; empty where the gateway does
    /// not know the tokens.
    pub prefix: Prefix,
    /// Tokens of the prompt, with those that were generated before a move.
    pub prompt_tokens: u32,
    /// What the request belongs to, if its client said so: a replica that served it last is believed
    /// to have as many of its tokens as it had then. Of use where tokens are not known.
    pub session: Option<Session>,
    /// Replicas whose first tokens take longer than this are a last resort.
    pub first_token_most: Option<Span>,
    /// Replicas that cost more than this are asked only when no cheaper one is left; one that is
    /// full is left.
    pub price_most: Option<Price>,
}

/// A chat, an agent's run: whatever a client says belongs together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Session(u64);

impl Session {
    /// The session of this name; each client's names are its own when `name` begins with its id.
    pub fn named(name: &[u8]) -> Self {
        let mut hasher = FixedState::default().build_hasher();
        hasher.write(name);
        Self(hasher.finish())
    }
}

impl Wish {
    /// The wish of a request with this prompt.
    pub fn of_prompt(tokens: &[u32]) -> Self {
        Self {
            prefix: Prefix::of(tokens),
            prompt_tokens: u32::try_from(tokens.len()).unwrap_or(u32::MAX),
            ..Self::default()
        }
    }
}
