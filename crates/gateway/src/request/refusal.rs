//! Why a request is not served, or not to its end.

use std::time::Duration;

use remuda_routing::Denied;
use remuda_tokens::{prompt, stop, template};

use crate::kept::StoreError;
use crate::models::NoModel;
use crate::spool::Broken;

/// The one error of a request; doors turn it into their API's words.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// No key was sent.
    #[error("an API key is needed: send it as `Authorization: Bearer …`")]
    NoKey,
    /// `remuda-routing` says no.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The key's project has no such model.
    #[error("the model `{0}` does not exist in this project: list those that do at /v1/models")]
    UnknownModel(String),
    /// The prompt leaves no room for an answer.
    #[error(
        "the prompt has {prompt} tokens and this model's context {context}: shorten it to {} at most",
        .context.saturating_sub(1)
    )]
    TooLong {
        /// Tokens of the prompt.
        prompt: usize,
        /// Tokens of context.
        context: u32,
    },
    /// The text is longer than any that could fit.
    #[error(
        "the prompt has {bytes} bytes and this model's context has no room for more than {most}: shorten it"
    )]
    TextTooLong {
        /// Bytes of the text.
        bytes: usize,
        /// The most that the longest tokens could spell.
        most: usize,
    },
    /// The prompt has no token.
    #[error("the prompt is empty")]
    Empty,
    /// A token id that the model does not have.
    #[error("token {0} is not in this model's vocabulary")]
    UnknownToken(u32),
    /// A parameter is wrong or not supported.
    #[error("{problem}")]
    Parameter {
        /// Its name, as a path into the body.
        name: String,
        /// What is wrong, with the way out.
        problem: String,
        /// Whether it is a good parameter that this gateway does not offer.
        unsupported: bool,
    },
    /// The body is not what the API wants.
    #[error("the body is not JSON of this API: {0}")]
    Body(String),
    /// The body is over the limit.
    #[error("the body is over the limit of {limit} bytes")]
    BodyTooLarge {
        /// The limit.
        limit: usize,
    },
    /// The body stopped coming.
    #[error("nothing of the body came for {} s: send the request again", .within.as_secs())]
    BodySilent {
        /// How long was waited.
        within: Duration,
    },
    /// The model's chat template refuses, or there is none.
    #[error("{0}")]
    Template(String),
    /// What the output is to be held to is not compiled yet.
    #[error("the schema or grammar was not compiled in time: many are, or it is large; try again")]
    CompilingLate,
    /// The tokeniser refuses.
    #[error("the prompt cannot be encoded")]
    Encode,
    /// The model's vocabulary is not there.
    #[error(transparent)]
    Model(#[from] NoModel),
    /// A reservation cannot be made durable.
    #[error(transparent)]
    Spool(#[from] Broken),
    /// The money of this request could no longer be posted.
    #[error("the money set aside for this request has lapsed while it ran: send it again")]
    Lapsed,
    /// The gateway stops.
    #[error("this gateway is stopping: send the request again")]
    Stopping,
    /// The request's task broke off.
    #[error("the request broke off inside the gateway: send it again")]
    BrokeOff,
    /// The key's project has no such response, here and now.
    #[error("the response `{0}` is not kept here (any longer)")]
    UnknownResponse(String),
    /// What a response was to go on from is not there.
    #[error(
        "the previous response `{0}` is not kept here (any longer): send the conversation as `input`"
    )]
    NoPrevious(String),
    /// Kept responses cannot be used.
    #[error(transparent)]
    Kept(#[from] StoreError),
    /// There is nothing at this path.
    #[error("there is nothing at {0}")]
    NoPath(String),
    /// The path does not take this method.
    #[error("{0} is not a method of this path")]
    NoMethod(String),
}

impl From<prompt::Error> for Refusal {
    fn from(error: prompt::Error) -> Self {
        match error {
            prompt::Error::Template(error) => Self::from(&error),
            prompt::Error::Encode(_) => Self::Encode,
            prompt::Error::NoGuard => Self::Template(error.to_string()),
        }
    }
}

impl From<&template::Error> for Refusal {
    fn from(error: &template::Error) -> Self {
        Self::Template(error.to_string())
    }
}

impl From<stop::Error> for Refusal {
    fn from(error: stop::Error) -> Self {
        Self::parameter("stop", error.to_string())
    }
}

impl Refusal {
    /// A parameter with a wrong value.
    pub(crate) fn parameter(name: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Parameter {
            name: name.into(),
            problem: problem.into(),
            unsupported: false,
        }
    }
}
