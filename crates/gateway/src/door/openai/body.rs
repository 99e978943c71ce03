//! The objects that answers are made of.

use remuda_routing::stream::Finish;
use serde::Serialize;

use crate::request::Finished;

/// Which of the two ways to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    Chat,
    Completions,
}

impl Door {
    /// The parameter of what is to be answered.
    pub(super) const fn input(self) -> &'static str {
        match self {
            Self::Chat => "messages",
            Self::Completions => "prompt",
        }
    }
}

/// What every object of one answer repeats.
#[derive(Clone, Debug)]
pub(super) struct About {
    /// What ids are made of.
    pub(super) own: String,
    pub(super) door: Door,
    pub(super) model: String,
    /// Seconds since the Unix epoch.
    pub(super) created: u64,
    /// Answers to each input.
    pub(super) each: usize,
}

/// A whole answer, or one chunk of it.
#[derive(Debug, Serialize)]
#[expect(
    clippy::option_option,
    reason = "absent, null and there are three answers"
)]
#[expect(clippy::struct_field_names, reason = "the names are OpenAI's")]
pub(super) struct Object<'a, C> {
    id: String,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: Vec<C>,
    /// Absent, `null` (chunks before the last when usage was asked for), or there.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Option<Usage>>,
}

/// Tokens of all answers together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Usage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: PromptDetails,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
struct PromptDetails {
    cached_tokens: u64,
}

impl About {
    #[expect(
        clippy::option_option,
        reason = "absent, null and there are three answers"
    )]
    pub(super) fn object<C>(
        &self,
        object: &'static str,
        choices: Vec<C>,
        usage: Option<Option<Usage>>,
    ) -> Object<'_, C> {
        let prefix = match self.door {
            Door::Chat => "chatcmpl",
            Door::Completions => "cmpl",
        };
        let (created, model) = (self.created, &*self.model);
        Object {
            id: format!("{prefix}-{}", self.own),
            object,
            created,
            model,
            choices,
            usage,
        }
    }

    /// The id of a call, by which its result is known later.
    pub(super) fn call_id(&self, answer: usize, nth: usize) -> String {
        format!("call_{}{answer:02}{nth:02}", self.own)
    }
}

impl Usage {
    /// Counts one more answer; the prompt with the first answer to an input.
    pub(super) fn add(&mut self, about: &About, answer: usize, finished: &Finished) {
        if answer.is_multiple_of(about.each) {
            self.prompt_tokens += u64::from(finished.prompt_tokens);
            self.prompt_tokens_details.cached_tokens += u64::from(finished.cached_tokens);
        }
        self.completion_tokens += u64::from(finished.completion_tokens);
        self.total_tokens = self.prompt_tokens + self.completion_tokens;
    }
}

/// `finish_reason`.
pub(super) const fn reason(finished: &Finished) -> &'static str {
    match finished.reason {
        Finish::Length => "length",
        Finish::Stop if finished.calls => "tool_calls",
        Finish::Stop => "stop",
    }
}
