//! One generation in a slot.

use remuda_tokens::Follower;
use remuda_wire::infer::{End, EndReason, Token};

use crate::cache::Cache;
use crate::choose::{Chooser, Draw, Occurrences};
use crate::decoder::Ticket;
use crate::logprobs;
use crate::model::Model;
use crate::noise::Noise;
use crate::request::Request;

/// A generation: the tokens so far, and how many of them the cache holds.
#[derive(Debug)]
pub(crate) struct Sequence {
    pub(crate) ticket: Ticket,
    /// Prompt and output.
    history: Vec<u32>,
    prompt: usize,
    evaluated: usize,
    /// Tokens that were found in the cache.
    reused: usize,
    request: Request,
    occurrences: Occurrences,
}

/// What came of one row of logits.
#[derive(Debug)]
pub(crate) enum Next {
    /// A token, and the end with it if it was the last.
    Token(Token, Option<EndReason>),
    /// The end.
    End(EndReason),
    /// Nobody can say what may follow.
    Broken,
}

impl Sequence {
    /// Prepares `request`; penalties are rebuilt from what was generated.
    pub(crate) fn new(ticket: Ticket, mut request: Request) -> Self {
        let mut occurrences = Occurrences::default();
        request
            .generated
            .iter()
            .for_each(|token| occurrences.count(*token));
        let prompt = request.prompt.len();
        let mut history = std::mem::take(&mut request.prompt);
        history.append(&mut request.generated);
        Self {
            ticket,
            history,
            prompt,
            evaluated: 0,
            reused: 0,
            request,
            occurrences,
        }
    }

    pub(crate) fn history(&self) -> &[u32] {
        &self.history
    }

    /// Starts from a cache that holds the first `reused` tokens.
    pub(crate) fn reuse(&mut self, reused: usize) {
        self.reused = reused;
        self.evaluated = reused;
    }

    /// Why nothing is left to generate, if so.
    pub(crate) fn is_over(&self) -> Option<EndReason> {
        let constraint = self.request.constraint.as_ref();
        if constraint.is_some_and(Follower::is_complete) {
            Some(EndReason::Stop)
        } else {
            (self.index() >= self.request.max_tokens).then_some(EndReason::Length)
        }
    }

    /// Whether its constraint can no longer be followed.
    fn is_broken(&self) -> bool {
        let constraint = self.request.constraint.as_ref();
        constraint.is_some_and(Follower::is_broken)
    }

    /// The index of the next token in the output.
    pub(crate) fn index(&self) -> u32 {
        u32::try_from(self.history.len() - self.prompt).unwrap_or(u32::MAX)
    }

    /// The tokens that the cache does not hold yet; never empty while the sequence runs.
    pub(crate) fn pending(&self) -> &[u32] {
        &self.history[self.evaluated..]
    }

    /// The position of the first pending token.
    pub(crate) fn position(&self) -> usize {
        self.evaluated
    }

    /// Whether the prompt is still being evaluated.
    pub(crate) fn prefilling(&self) -> bool {
        self.pending().len() > 1
    }

    /// Marks `count` pending tokens as evaluated.
    pub(crate) fn advance(&mut self, count: usize) {
        self.evaluated += count;
    }

    /// Chooses the next token from the logits after the whole history.
    pub(crate) fn next(&mut self, logits: &[f32], chooser: &mut Chooser, model: &Model) -> Next {
        let mut draw = Draw {
            rule: self.request.rule,
            penalties: self.request.penalties,
            occurrences: &self.occurrences,
            noise: Noise::at(self.request.seed, self.history.len() as u64),
            constraint: self.request.constraint.as_mut(),
        };
        match chooser.choose(logits, &mut draw) {
            Some(token) if !model.ends(token) => self.append(token, logits),
            Some(_) | None if self.is_broken() => Next::Broken,
            Some(_) | None => Next::End(EndReason::Stop),
        }
    }

    fn append(&mut self, id: u32, logits: &[f32]) -> Next {
        let (logprob, top) = logprobs::report(logits, id, self.request.top_logprobs);
        let token = Token {
            index: self.index(),
            id,
            logprob,
            top,
        };
        self.history.push(id);
        self.occurrences.count(id);
        if let Some(constraint) = &mut self.request.constraint {
            constraint.accept(id);
        }
        Next::Token(token, self.is_over())
    }

    /// The closing frame.
    pub(crate) fn end(&self, reason: EndReason) -> End {
        let cached = self.reused.min(self.prompt);
        End {
            reason,
            cached_tokens: u32::try_from(cached).unwrap_or(u32::MAX),
        }
    }

    /// What the slot's cells hold when the sequence leaves, wherever it was cut.
    pub(crate) fn into_cache(mut self, freed: u64) -> Cache {
        self.history.truncate(self.evaluated);
        Cache {
            tokens: self.history,
            freed,
        }
    }
}
