//! `/v1/completions`: its prompt and its choices.

use serde::{Deserialize, Serialize};

use crate::request::{Input, Refusal};

/// A prompt as it is sent: one, as text or as token ids.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "`prompt` is one text or one list of token ids")]
pub(super) enum Prompt {
    Text(String),
    Tokens(Vec<u32>),
    Texts(Vec<String>),
    TokenLists(Vec<Vec<u32>>),
}

impl Prompt {
    pub(super) fn input(self) -> Result<Input, Refusal> {
        match self {
            Self::Text(text) => Ok(Input::Text(text)),
            Self::Tokens(tokens) => Ok(Input::Tokens(tokens)),
            Self::Texts(texts) => only(texts).map(Input::Text),
            Self::TokenLists(lists) => only(lists).map(Input::Tokens),
        }
    }
}

fn only<T>(mut prompts: Vec<T>) -> Result<T, Refusal> {
    let one = prompts.pop().filter(|_| prompts.is_empty());
    one.ok_or_else(|| Refusal::Parameter {
        name: "prompt".to_owned(),
        problem: "one prompt is supported in a request: send several requests".to_owned(),
        unsupported: true,
    })
}

/// The choice of an answer, whole or in chunks.
#[derive(Debug, Default, Serialize)]
pub(super) struct Choice {
    pub(super) text: String,
    pub(super) index: u32,
    pub(super) logprobs: (),
    pub(super) finish_reason: Option<&'static str>,
}
