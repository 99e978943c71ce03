//! `/v1/chat/completions`: its messages and its choices.

use remuda_tokens::{Message, Role};
use serde::{Deserialize, Serialize};

use super::map_only::MapOnly;
use crate::request::Refusal;

/// A message as it is sent. What is not here is ignored (`name`) or refused (`tool_calls`).
#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
pub(super) struct Sent {
    role: String,
    #[serde(default)]
    content: Content,
    #[serde(default)]
    tool_calls: Option<Vec<serde_json::Value>>,
    #[serde(flatten)]
    _others: MapOnly,
}

#[derive(Debug, Default, Deserialize)]
#[serde(
    untagged,
    expecting = "`content` is text or a list of parts, `{\"type\": \"text\", \"text\": …}`"
)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
    #[default]
    Nothing,
}

#[derive(Debug, Deserialize)]
struct Part {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    text: Option<String>,
    #[serde(flatten)]
    _others: MapOnly,
}

/// Messages in our words.
pub(super) fn messages(sent: Vec<Sent>) -> Result<Vec<Message>, Refusal> {
    if sent.is_empty() {
        return Err(Refusal::parameter(
            "messages",
            "at least one message is needed",
        ));
    }
    sent.into_iter()
        .enumerate()
        .map(|(at, message)| read(at, message))
        .collect()
}

fn read(at: usize, sent: Sent) -> Result<Message, Refusal> {
    let unsupported = |field: &str, problem: &str| Refusal::Parameter {
        name: format!("messages[{at}].{field}"),
        problem: problem.to_owned(),
        unsupported: true,
    };
    if sent.tool_calls.is_some_and(|calls| !calls.is_empty()) {
        return Err(unsupported(
            "tool_calls",
            "tool calls are not supported by this gateway yet",
        ));
    }
    let role = match &*sent.role {
        "system" => Role::System,
        "developer" => Role::Developer,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" | "function" => {
            return Err(unsupported(
                "role",
                "tools are not supported by this gateway yet",
            ));
        }
        _ => {
            let problem = "a role is system, developer, user or assistant";
            return Err(Refusal::parameter(format!("messages[{at}].role"), problem));
        }
    };
    let content = match sent.content {
        Content::Text(text) => text,
        Content::Parts(parts) => joined(at, parts)?,
        Content::Nothing => {
            let name = format!("messages[{at}].content");
            return Err(Refusal::parameter(name, "a message needs `content`"));
        }
    };
    Ok(Message::new(role, content))
}

fn joined(at: usize, parts: Vec<Part>) -> Result<String, Refusal> {
    let mut text = String::new();
    for (place, part) in parts.into_iter().enumerate() {
        let name = format!("messages[{at}].content[{place}]");
        match (&*part.kind, part.text) {
            ("text", Some(part)) => text.push_str(&part),
            ("text", None) => return Err(Refusal::parameter(name, "a text part has `text`")),
            (kind, _) => {
                let problem = format!("parts of type `{kind}` are not supported, only `text`");
                return Err(Refusal::Parameter {
                    name,
                    problem,
                    unsupported: true,
                });
            }
        }
    }
    Ok(text)
}

/// The choice of a whole answer.
#[derive(Debug, Serialize)]
pub(super) struct Choice {
    pub(super) index: u32,
    pub(super) message: Answer,
    pub(super) logprobs: (),
    pub(super) finish_reason: &'static str,
}

#[derive(Debug, Serialize)]
pub(super) struct Answer {
    pub(super) role: &'static str,
    pub(super) content: String,
    pub(super) refusal: (),
}

/// The choice of one chunk.
#[derive(Debug, Default, Serialize)]
pub(super) struct ChunkChoice {
    pub(super) index: u32,
    pub(super) delta: Delta,
    pub(super) logprobs: (),
    pub(super) finish_reason: Option<&'static str>,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct Delta {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content: Option<String>,
}
