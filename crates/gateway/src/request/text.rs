//! From token ids to what a client sees: text, and calls in it.

use remuda_tokens::stop::Step;
use remuda_tokens::tools::{Piece, Reader};
use remuda_tokens::{Detokenizer, StopMatcher, Tokenizer};

/// The text of one answer.
#[derive(Debug)]
pub(super) struct Text {
    detokenizer: Detokenizer,
    stops: StopMatcher,
    /// When the model may call tools.
    reader: Option<Reader>,
    stopped_by: Option<usize>,
}

/// What the end of an answer brings.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Rest {
    pub(super) pieces: Vec<Piece>,
    /// Which stop sequence ended it, from 0.
    pub(super) stopped_by: Option<usize>,
    /// Whether tools are called.
    pub(super) calls: bool,
}

impl Text {
    pub(super) fn new(stops: StopMatcher, reader: Option<Reader>) -> Self {
        Self {
            detokenizer: Detokenizer::new(),
            stops,
            reader,
            stopped_by: None,
        }
    }

    /// Takes the next token; one that the vocabulary lacks adds nothing. What may be shown is often a
    /// word, sometimes nothing.
    pub(super) fn push(&mut self, tokenizer: &Tokenizer, id: u32) -> Vec<Piece> {
        let text = self.detokenizer.push(tokenizer, id).unwrap_or_default();
        self.take(&text)
    }

    /// Whether a stop sequence is complete: nothing more will be shown.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped_by.is_some()
    }

    /// Ends the text: what was held back is text after all.
    pub(super) fn finish(mut self) -> Rest {
        let last = std::mem::take(&mut self.detokenizer).finish();
        let mut pieces = self.take(&last);
        if self.stopped_by.is_none() {
            let held = std::mem::take(&mut self.stops).finish();
            pieces.extend(self.read(held));
        }
        let calls = self
            .reader
            .as_ref()
            .is_some_and(|reader| reader.calls() > 0);
        pieces.extend(self.reader.map(Reader::finish).unwrap_or_default());
        Rest {
            pieces,
            stopped_by: self.stopped_by,
            calls,
        }
    }

    fn take(&mut self, text: &str) -> Vec<Piece> {
        match self.stops.push(text) {
            Step::Go(text) => self.read(text),
            Step::Stop { text, stop } => {
                self.stopped_by = Some(stop);
                self.read(text)
            }
        }
    }

    fn read(&mut self, text: String) -> Vec<Piece> {
        match &mut self.reader {
            _ if text.is_empty() => Vec::new(),
            Some(reader) => reader.push(&text),
            None => vec![Piece::Text(text)],
        }
    }
}
