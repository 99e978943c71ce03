//! The response object: what the request said, and what came of it.

use remuda_types::Time;
use serde_json::{Map, Value, json};

use crate::request::Finished;

/// What does not change while a response is made.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    own: String,
    sent: Map<String, Value>,
    /// Seconds since the Unix epoch.
    created: u64,
}

/// Where a response stands.
#[derive(Clone, Debug)]
pub(super) enum Status {
    InProgress,
    Completed,
    /// Cut short by the most tokens.
    Incomplete,
    Failed(String),
    Cancelled,
}

impl Frame {
    pub(super) fn new(own: &str, sent: Map<String, Value>) -> Self {
        Self {
            own: own.to_owned(),
            sent,
            created: 0,
        }
    }

    pub(super) fn at(self, at: Time) -> Self {
        let created = at.as_millis() / 1_000;
        Self { created, ..self }
    }

    pub(super) fn id(&self) -> String {
        format!("resp_{}", self.own)
    }

    /// An id for a part of it.
    pub(super) fn id_of(&self, kind: &str, nth: usize) -> String {
        format!("{kind}_{}{nth:02}", self.own)
    }

    pub(super) fn is_background(&self) -> bool {
        self.sent.get("background") == Some(&Value::Bool(true))
    }

    /// The object as it is shown.
    pub(super) fn object(
        &self,
        status: &Status,
        output: &[Value],
        finished: Option<&Finished>,
    ) -> Value {
        let repeated = |name: &str, otherwise: Value| {
            let sent = self.sent.get(name).filter(|sent| !sent.is_null());
            sent.cloned().unwrap_or(otherwise)
        };
        json!({
            "id": self.id(),
            "object": "response",
            "created_at": self.created,
            "status": status.word(),
            "background": repeated("background", false.into()),
            "error": status.error(),
            "incomplete_details": status.incomplete(),
            "instructions": repeated("instructions", Value::Null),
            "max_output_tokens": repeated("max_output_tokens", Value::Null),
            "max_tool_calls": repeated("max_tool_calls", Value::Null),
            "metadata": repeated("metadata", json!({})),
            "model": repeated("model", Value::Null),
            "output": output,
            "parallel_tool_calls": repeated("parallel_tool_calls", true.into()),
            "previous_response_id": repeated("previous_response_id", Value::Null),
            "prompt_cache_key": repeated("prompt_cache_key", Value::Null),
            "reasoning": repeated("reasoning", json!({"effort": null, "summary": null})),
            "safety_identifier": repeated("safety_identifier", Value::Null),
            "service_tier": "default",
            "store": repeated("store", true.into()),
            "temperature": repeated("temperature", json!(1.0)),
            "text": repeated("text", json!({"format": {"type": "text"}})),
            "tool_choice": repeated("tool_choice", "auto".into()),
            "tools": repeated("tools", json!([])),
            "top_logprobs": 0,
            "top_p": repeated("top_p", json!(1.0)),
            "truncation": "disabled",
            "usage": finished.map(usage),
            "user": repeated("user", Value::Null),
        })
    }
}

impl Status {
    /// What an answer that came to its end is.
    pub(super) const fn of(finished: &Finished) -> Self {
        match finished.reason {
            remuda_routing::stream::Finish::Stop => Self::Completed,
            remuda_routing::stream::Finish::Length => Self::Incomplete,
        }
    }

    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Incomplete => "incomplete",
            Self::Failed(_) => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    fn error(&self) -> Value {
        match self {
            Self::Failed(message) => json!({"code": "server_error", "message": message}),
            Self::InProgress | Self::Completed | Self::Incomplete | Self::Cancelled => Value::Null,
        }
    }

    fn incomplete(&self) -> Value {
        match self {
            Self::Incomplete => json!({"reason": "max_output_tokens"}),
            Self::InProgress | Self::Completed | Self::Failed(_) | Self::Cancelled => Value::Null,
        }
    }
}

fn usage(finished: &Finished) -> Value {
    let Finished {
        prompt_tokens,
        completion_tokens,
        cached_tokens,
        ..
    } = finished;
    json!({
        "input_tokens": prompt_tokens,
        "input_tokens_details": {"cached_tokens": cached_tokens, "cache_write_tokens": 0},
        "output_tokens": completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": u64::from(*prompt_tokens) + u64::from(*completion_tokens),
    })
}
