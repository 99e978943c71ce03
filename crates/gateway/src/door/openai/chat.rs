//! `/v1/chat/completions`: its messages and its choices.

pub(super) mod stream;

use remuda_tokens::tools::ToolCall;
use remuda_tokens::{Message, Role};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::body::{About, reason};
use super::logprobs;
use crate::door::answers::Whole;
use crate::door::fields::unsupported;
use crate::door::map_only::MapOnly;
use crate::door::toolbox::stray_result;
use crate::request::Refusal;

/// A message as it is sent. What is not here is ignored (`name`).
#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
pub(super) struct Sent {
    role: String,
    #[serde(default)]
    content: Content,
    #[serde(default)]
    tool_calls: Option<Vec<SentCall>>,
    tool_call_id: Option<String>,
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
    /// What an assistant said when it refused.
    #[serde(default)]
    refusal: Option<String>,
    #[serde(flatten)]
    _others: MapOnly,
}

/// A call as the client got it from an earlier answer.
#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct SentCall {
    id: String,
    function: SentFunction,
    #[serde(flatten)]
    _others: MapOnly,
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct SentFunction {
    name: String,
    #[serde(default)]
    arguments: String,
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
    let each = sent.into_iter().enumerate();
    let messages: Vec<_> = each
        .map(|(at, message)| read(at, message))
        .collect::<Result<_, _>>()?;
    if let Some((at, call)) = stray_result(&messages) {
        let name = format!("messages[{at}].tool_call_id");
        let problem = format!("no message before has a call with the id `{call}`");
        return Err(Refusal::parameter(name, problem));
    }
    Ok(messages)
}

fn read(at: usize, sent: Sent) -> Result<Message, Refusal> {
    let role = role(at, &sent.role)?;
    let calls = sent.tool_calls.unwrap_or_default();
    let content = match sent.content {
        Content::Text(text) => text,
        Content::Parts(parts) => joined(at, parts)?,
        Content::Nothing if !calls.is_empty() => String::new(),
        Content::Nothing => {
            let name = format!("messages[{at}].content");
            return Err(Refusal::parameter(name, "a message needs `content`"));
        }
    };
    if role == Role::Tool && sent.tool_call_id.is_none() {
        let name = format!("messages[{at}].tool_call_id");
        let problem = "a tool's message says which call it answers";
        return Err(Refusal::parameter(name, problem));
    }
    Ok(Message {
        tool_calls: calls.into_iter().map(SentCall::call).collect(),
        tool_call_id: sent.tool_call_id,
        ..Message::new(role, content)
    })
}

fn role(at: usize, role: &str) -> Result<Role, Refusal> {
    let name = || format!("messages[{at}].role");
    match role {
        "system" => Ok(Role::System),
        "developer" => Ok(Role::Developer),
        "user" => Ok(Role::User),
        "assistant" => Ok(Role::Assistant),
        "tool" => Ok(Role::Tool),
        "function" => Err(unsupported(
            name(),
            "functions are not supported: use `tools` and the role `tool`",
        )),
        _ => {
            let problem = "a role is system, developer, user, assistant or tool";
            Err(Refusal::parameter(name(), problem))
        }
    }
}

fn joined(at: usize, parts: Vec<Part>) -> Result<String, Refusal> {
    let mut text = String::new();
    for (place, part) in parts.into_iter().enumerate() {
        let name = format!("messages[{at}].content[{place}]");
        match (&*part.kind, part.text.or(part.refusal)) {
            ("text" | "refusal", Some(part)) => text.push_str(&part),
            ("text", None) => return Err(Refusal::parameter(name, "a text part has `text`")),
            ("image_url" | "input_audio" | "file", _) => {
                let problem = format!("this model reads text only, no `{}`", part.kind);
                return Err(unsupported(name, problem));
            }
            (kind, _) => {
                let problem = format!("parts of type `{kind}` are not supported, only `text`");
                return Err(unsupported(name, problem));
            }
        }
    }
    Ok(text)
}

impl SentCall {
    fn call(self) -> ToolCall {
        ToolCall {
            id: self.id,
            name: self.function.name,
            arguments: arguments(self.function.arguments),
        }
    }
}

/// Arguments as templates want them: an object where they are one.
pub(in crate::door) fn arguments(text: String) -> Value {
    match serde_json::from_str(&text) {
        Ok(Value::Object(fields)) => Value::Object(fields),
        Ok(_) | Err(_) => Value::String(text),
    }
}

/// The choice of a whole answer.
#[derive(Debug, Serialize)]
pub(super) struct Choice {
    index: usize,
    message: Answer,
    logprobs: Option<logprobs::Chat>,
    finish_reason: &'static str,
}

#[derive(Debug, Serialize)]
struct Answer {
    role: &'static str,
    /// None when nothing was said beside calls.
    content: Option<String>,
    refusal: (),
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Call>,
}

/// A call, whole or the beginning of one.
#[derive(Debug, Serialize)]
struct Call {
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<usize>,
    id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    function: Function,
}

#[derive(Debug, Serialize)]
struct Function {
    name: String,
    arguments: String,
}

impl Choice {
    pub(super) fn new(about: &About, place: usize, whole: Whole) -> Self {
        let finish_reason = reason(&whole.finished);
        let asked = !whole.scores.is_empty();
        let logprobs = asked.then(|| logprobs::Chat::new(&whole.scores));
        let (text, called) = whole.split();
        let tool_calls: Vec<_> = called
            .into_iter()
            .enumerate()
            .map(|(nth, call)| Call {
                index: None,
                id: about.call_id(place, nth),
                kind: "function",
                function: Function {
                    name: call.name,
                    arguments: call.arguments,
                },
            })
            .collect();
        let silent = text.is_empty() && !tool_calls.is_empty();
        Self {
            index: place,
            message: Answer {
                role: "assistant",
                content: (!silent).then_some(text),
                refusal: (),
                tool_calls,
            },
            logprobs,
            finish_reason,
        }
    }
}
