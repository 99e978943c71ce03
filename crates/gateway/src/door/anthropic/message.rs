//! The objects that answers are made of.

use remuda_routing::stream::Finish;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::door::answers::{Said, Whole};
use crate::request::Finished;

/// What every object of one answer repeats.
#[derive(Clone, Debug)]
pub(super) struct About {
    /// What ids are made of.
    pub(super) own: String,
    pub(super) model: String,
    pub(super) prompt_tokens: u64,
}

/// A message, whole or as it begins.
#[derive(Debug, Serialize)]
pub(super) struct Message<'a> {
    id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    role: &'static str,
    model: &'a str,
    content: Vec<Block>,
    stop_reason: Option<&'static str>,
    stop_sequence: Option<String>,
    usage: Usage,
}

/// A block of a message.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Block {
    Text {
        text: String,
    },
    ToolUse {
        id: String,
        name: String,
        input: Value,
    },
}

/// `input_tokens` are those that were not cached.
#[derive(Clone, Copy, Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "the names are Anthropic's")]
pub(super) struct Usage {
    input_tokens: u64,
    cache_creation_input_tokens: u64,
    cache_read_input_tokens: u64,
    output_tokens: u64,
}

/// The message as it begins.
pub(super) fn begun(about: &About) -> Message<'_> {
    Message {
        id: format!("msg_{}", about.own),
        kind: "message",
        role: "assistant",
        model: &about.model,
        content: Vec::new(),
        stop_reason: None,
        stop_sequence: None,
        usage: Usage {
            input_tokens: about.prompt_tokens,
            cache_creation_input_tokens: 0,
            cache_read_input_tokens: 0,
            output_tokens: 0,
        },
    }
}

/// The whole message.
pub(super) fn whole(about: &About, whole: Whole) -> Message<'_> {
    let mut calls = 0;
    let block = |part| match part {
        Said::Text(text) => Block::Text { text },
        Said::Call(call) => {
            calls += 1;
            Block::ToolUse {
                id: call_id(about, calls - 1),
                name: call.name,
                input: input(&call.arguments),
            }
        }
    };
    let content = whole.parts.into_iter().map(block).collect();
    Message {
        content,
        stop_reason: Some(reason(&whole.finished)),
        usage: usage(&whole.finished),
        stop_sequence: whole.finished.stopped_by,
        ..begun(about)
    }
}

/// The id of a call, by which its result is known later.
pub(super) fn call_id(about: &About, nth: usize) -> String {
    format!("toolu_{}{nth:02}", about.own)
}

/// Arguments that were cut short are no object: there are none then.
fn input(arguments: &str) -> Value {
    match serde_json::from_str(arguments) {
        Ok(Value::Object(fields)) => Value::Object(fields),
        Ok(_) | Err(_) => Value::Object(Map::new()),
    }
}

/// What the answer took.
pub(super) fn usage(finished: &Finished) -> Usage {
    let cached = u64::from(finished.cached_tokens);
    Usage {
        input_tokens: u64::from(finished.prompt_tokens).saturating_sub(cached),
        cache_creation_input_tokens: 0,
        cache_read_input_tokens: cached,
        output_tokens: finished.completion_tokens.into(),
    }
}

/// `stop_reason`.
pub(super) const fn reason(finished: &Finished) -> &'static str {
    match finished.reason {
        Finish::Length => "max_tokens",
        Finish::Stop if finished.stopped_by.is_some() => "stop_sequence",
        Finish::Stop if finished.calls => "tool_use",
        Finish::Stop => "end_turn",
    }
}
