//! `logprobs`, in the two shapes of chat and of completions.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::request::{Likely, Score};

/// Those of a chat's choice.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Chat {
    content: Vec<Token>,
    refusal: (),
}

#[derive(Clone, Debug, Serialize)]
struct Token {
    #[serde(flatten)]
    token: Candidate,
    top_logprobs: Vec<Candidate>,
}

#[derive(Clone, Debug, Serialize)]
struct Candidate {
    token: String,
    logprob: f32,
    bytes: Vec<u8>,
}

/// Those of a completion's choice.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Completion {
    tokens: Vec<String>,
    token_logprobs: Vec<f32>,
    top_logprobs: Vec<BTreeMap<String, f32>>,
    text_offset: Vec<usize>,
}

impl Chat {
    pub(super) fn new(scores: &[Score]) -> Self {
        let token = |score: &Score| Token {
            token: Candidate::new(&score.token),
            top_logprobs: score.top.iter().map(Candidate::new).collect(),
        };
        Self {
            content: scores.iter().map(token).collect(),
            refusal: (),
        }
    }
}

impl Candidate {
    fn new(likely: &Likely) -> Self {
        Self {
            token: text(likely),
            logprob: finite(likely.logprob),
            bytes: likely.bytes.clone(),
        }
    }
}

impl Completion {
    /// `offset` is how many characters of the answer came before; it grows by those of the tokens.
    pub(super) fn new(scores: &[Score], offset: &mut usize) -> Self {
        let mut logprobs = Self::default();
        for score in scores {
            let token = text(&score.token);
            logprobs.text_offset.push(*offset);
            *offset += token.chars().count();
            logprobs.tokens.push(token);
            logprobs.token_logprobs.push(finite(score.token.logprob));
            let top = score.top.iter();
            let top = top.map(|likely| (text(likely), finite(likely.logprob)));
            logprobs.top_logprobs.push(top.collect());
        }
        logprobs
    }
}

/// Part of a character reads as a replacement; the bytes say what it is.
fn text(likely: &Likely) -> String {
    String::from_utf8_lossy(&likely.bytes).into_owned()
}

/// JSON has no infinity; OpenAI says this number of what is not likely at all.
fn finite(logprob: f32) -> f32 {
    logprob.max(-9_999.0)
}
