//! The objects that answers are made of.

use remuda_routing::stream::Finish;
use remuda_types::RequestId;
use serde::Serialize;

use crate::request::Finished;

/// Which of the two ways to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    Chat,
    Completions,
}

/// What every object of one answer repeats.
#[derive(Clone, Debug)]
pub(super) struct About {
    pub(super) id: RequestId,
    pub(super) door: Door,
    pub(super) model: String,
    /// Seconds since the Unix epoch.
    pub(super) created: u64,
}

/// A whole answer, or one chunk of it.
#[derive(Debug, Serialize)]
#[expect(
    clippy::option_option,
    reason = "absent, null and there are three answers"
)]
#[expect(clippy::struct_field_names, reason = "the names are OpenAI's")]
pub(super) struct Object<'a, C> {
    pub(super) id: String,
    pub(super) object: &'static str,
    pub(super) created: u64,
    pub(super) model: &'a str,
    pub(super) choices: Vec<C>,
    /// Absent, `null` (chunks before the last when usage was asked for), or there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) usage: Option<Option<Usage>>,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Usage {
    prompt_tokens: u32,
    completion_tokens: u32,
    total_tokens: u64,
    prompt_tokens_details: PromptDetails,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct PromptDetails {
    cached_tokens: u32,
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
        let own = self.id.to_string();
        let own = own.split_once('_').map_or(&*own, |(_, own)| own);
        let (created, model) = (self.created, &*self.model);
        Object {
            id: format!("{prefix}-{own}"),
            object,
            created,
            model,
            choices,
            usage,
        }
    }
}

impl From<Finished> for Usage {
    fn from(finished: Finished) -> Self {
        let Finished {
            prompt_tokens,
            completion_tokens,
            cached_tokens,
            ..
        } = finished;
        Self {
            prompt_tokens,
            completion_tokens,
            total_tokens: u64::from(prompt_tokens) + u64::from(completion_tokens),
            prompt_tokens_details: PromptDetails { cached_tokens },
        }
    }
}

/// `finish_reason`.
pub(super) const fn reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "stop",
        Finish::Length => "length",
    }
}
