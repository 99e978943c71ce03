//! Completions in chunks.

use remuda_tokens::tools::Piece;

use super::Choice;
use crate::door::openai::body::{About, Usage, reason};
use crate::door::openai::{error, logprobs};
use crate::door::sse::{self, Out};
use crate::request::{Finished, Part, Refusal, Score};

/// What is said while the answers come.
pub(in crate::door::openai) struct Script {
    about: About,
    include_usage: bool,
    usage: Usage,
    /// Characters whose probabilities were told, of each answer.
    offsets: Vec<usize>,
}

impl Script {
    pub(in crate::door::openai) fn new(about: About, answers: usize, include_usage: bool) -> Self {
        Self {
            about,
            include_usage,
            usage: Usage::default(),
            offsets: vec![0; answers],
        }
    }

    fn chunk(&self, choices: Vec<Choice>, usage: Option<Usage>, out: &mut Out) {
        let usage = self.include_usage.then_some(usage);
        out.data(&self.about.object("text_completion", choices, usage));
    }

    fn logprobs(&mut self, answer: usize, scores: &[Score]) -> Option<logprobs::Completion> {
        let asked = !scores.is_empty();
        asked.then(|| logprobs::Completion::new(scores, &mut self.offsets[answer]))
    }
}

impl sse::Script for Script {
    fn begin(&mut self, _: &mut Out) {}

    fn part(&mut self, answer: usize, part: Part, out: &mut Out) {
        // No tools can be offered here, so nothing is read as a call.
        let (Piece::Text(text) | Piece::Arguments(text) | Piece::Call { name: text }) = part.piece;
        let choice = Choice {
            text,
            index: answer,
            logprobs: self.logprobs(answer, &part.scores),
            finish_reason: None,
        };
        self.chunk(vec![choice], None, out);
    }

    fn finished(&mut self, answer: usize, finished: Finished, out: &mut Out) {
        self.usage.add(&self.about, answer, &finished);
        let choice = Choice {
            index: answer,
            logprobs: self.logprobs(answer, &finished.scores),
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
