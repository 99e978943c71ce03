//! `/v1/completions`: its prompts and its choices.

pub(super) mod stream;

use serde::{Deserialize, Serialize};

use super::body::reason;
use super::logprobs;
use crate::door::answers::Whole;
use crate::request::Input;

/// Prompts as they are sent: one or several, as text or as token ids.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "`prompt` is one text, one list of token ids, or a list of either"
)]
pub(super) enum Prompt {
    Text(String),
    Tokens(Vec<u32>),
    Texts(Vec<String>),
    TokenLists(Vec<Vec<u32>>),
}

impl Prompt {
    pub(super) fn inputs(self) -> Vec<Input> {
        match self {
            Self::Text(text) => vec![Input::Text(text)],
            Self::Tokens(tokens) => vec![Input::Tokens(tokens)],
            Self::Texts(texts) => texts.into_iter().map(Input::Text).collect(),
            Self::TokenLists(lists) => lists.into_iter().map(Input::Tokens).collect(),
        }
    }
}

/// The choice of an answer, whole or in chunks.
#[derive(Debug, Default, Serialize)]
pub(super) struct Choice {
    text: String,
    index: usize,
    logprobs: Option<logprobs::Completion>,
    finish_reason: Option<&'static str>,
}

impl Choice {
    pub(super) fn new(place: usize, whole: Whole) -> Self {
        let asked = !whole.scores.is_empty();
        Self {
            index: place,
            logprobs: asked.then(|| logprobs::Completion::new(&whole.scores, &mut 0)),
            finish_reason: Some(reason(&whole.finished)),
            // No tools can be offered here, so nothing is read as a call.
            text: whole.split().0,
        }
    }
}
