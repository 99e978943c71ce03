//! A chat's answers in chunks.

use remuda_tokens::tools::Piece;
use serde::Serialize;

use super::{Call, Function};
use crate::door::openai::body::{About, Usage, reason};
use crate::door::openai::{error, logprobs};
use crate::door::sse::{self, Out};
use crate::request::{Finished, Part, Refusal};

/// What is said while the answers come.
pub(in crate::door::openai) struct Script {
    about: About,
    include_usage: bool,
    usage: Usage,
    /// Calls that have begun, of each answer.
    calls: Vec<usize>,
}

/// The choice of one chunk.
#[derive(Debug, Default, Serialize)]
struct Choice {
    index: usize,
    delta: Delta,
    logprobs: Option<logprobs::Chat>,
    finish_reason: Option<&'static str>,
}

#[derive(Debug, Default, Serialize)]
struct Delta {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[CallDelta; 1]>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum CallDelta {
    Begin(Call),
    More { index: usize, function: More },
}

#[derive(Debug, Serialize)]
struct More {
    arguments: String,
}

impl Script {
    pub(in crate::door::openai) fn new(about: About, answers: usize, include_usage: bool) -> Self {
        Self {
            about,
            include_usage,
            usage: Usage::default(),
            calls: vec![0; answers],
        }
    }

    fn chunk(&self, choices: Vec<Choice>, usage: Option<Usage>, out: &mut Out) {
        let usage = self.include_usage.then_some(usage);
        out.data(&self.about.object("chat.completion.chunk", choices, usage));
    }

    fn delta(&mut self, answer: usize, piece: Piece) -> Delta {
        match piece {
            Piece::Text(text) => Delta {
                content: Some(text),
                ..Delta::default()
            },
            Piece::Call { name } => {
                let nth = self.calls[answer];
                self.calls[answer] += 1;
                Delta::of(CallDelta::Begin(Call {
                    index: Some(nth),
                    id: self.about.call_id(answer, nth),
                    kind: "function",
                    function: Function {
                        name,
                        arguments: String::new(),
                    },
                }))
            }
            Piece::Arguments(arguments) => Delta::of(CallDelta::More {
                index: self.calls[answer].saturating_sub(1),
                function: More { arguments },
            }),
        }
    }
}

impl Delta {
    fn of(call: CallDelta) -> Self {
        Self {
            tool_calls: Some([call]),
            ..Self::default()
        }
    }
}

impl sse::Script for Script {
    /// Chat says first who speaks.
    fn begin(&mut self, out: &mut Out) {
        for index in 0..self.calls.len() {
            let choice = Choice {
                index,
                delta: Delta {
                    role: Some("assistant"),
                    content: Some(String::new()),
                    tool_calls: None,
                },
                ..Choice::default()
            };
            self.chunk(vec![choice], None, out);
        }
    }

    fn part(&mut self, answer: usize, part: Part, out: &mut Out) {
        let asked = !part.scores.is_empty();
        let choice = Choice {
            index: answer,
            delta: self.delta(answer, part.piece),
            logprobs: asked.then(|| logprobs::Chat::new(&part.scores)),
            finish_reason: None,
        };
        self.chunk(vec![choice], None, out);
    }

    fn finished(&mut self, answer: usize, finished: Finished, out: &mut Out) {
        self.usage.add(&self.about, answer, &finished);
        let asked = !finished.scores.is_empty();
        let choice = Choice {
            index: answer,
            logprobs: asked.then(|| logprobs::Chat::new(&finished.scores)),
            finish_reason: Some(reason(&finished)),
            ..Choice::default()
        };
        self.chunk(vec![choice], None, out);
    }

    fn end(&mut self, out: &mut Out) {
        if self.include_usage {
            self.chunk(Vec::new(), Some(self.usage), out);
        }
        out.text("[DONE]");
    }

    /// SDKs raise an error for this object; there is no `[DONE]` after it.
    fn failed(&mut self, refusal: &Refusal, out: &mut Out) {
        out.data(&error::body(refusal, self.about.door.input()));
    }
}
