//! From token ids to the text a client sees.

use remuda_tokens::stop::Step;
use remuda_tokens::{Detokenizer, StopMatcher, Tokenizer};

/// The text of one answer.
#[derive(Debug)]
pub(super) struct Text {
    detokenizer: Detokenizer,
    stops: StopMatcher,
}

/// What a token led to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// This much more may be shown; often a word, sometimes nothing.
    More(String),
    /// A stop sequence is complete: this much more, and then nothing.
    Last(String),
}

impl Text {
    pub(super) fn new(stops: StopMatcher) -> Self {
        Self {
            detokenizer: Detokenizer::new(),
            stops,
        }
    }

    /// Takes the next token; one that the vocabulary lacks adds nothing.
    pub(super) fn push(&mut self, tokenizer: &Tokenizer, id: u32) -> Shown {
        let text = self.detokenizer.push(tokenizer, id).unwrap_or_default();
        match self.stops.push(&text) {
            Step::Go(text) => Shown::More(text),
            Step::Stop { text, .. } => Shown::Last(text),
        }
    }

    /// Ends the text: what was held back is text after all.
    pub(super) fn finish(mut self) -> String {
        match self.stops.push(&self.detokenizer.finish()) {
            Step::Go(text) => text + &self.stops.finish(),
            Step::Stop { text, .. } => text,
        }
    }
}
