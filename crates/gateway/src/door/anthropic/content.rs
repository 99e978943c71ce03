//! Messages as they are sent, in blocks.

use remuda_tokens::tools::ToolCall;
use remuda_tokens::{Message, Role};
use serde::Deserialize;
use serde_json::Value;

use crate::door::fields::unsupported;
use crate::door::map_only::MapOnly;
use crate::request::Refusal;

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
pub(super) struct Sent {
    role: String,
    content: Content,
    #[serde(flatten)]
    _others: MapOnly,
}

/// Text, or blocks.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "`content` is text or a list of blocks, `{\"type\": \"text\", \"text\": …}`"
)]
pub(super) enum Content {
    Text(String),
    Blocks(Vec<Block>),
}

/// A block; which fields it has, its type says.
#[derive(Debug, Deserialize)]
pub(super) struct Block {
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
    id: Option<String>,
    name: Option<String>,
    input: Option<Value>,
    tool_use_id: Option<String>,
    content: Option<Box<Content>>,
    is_error: Option<bool>,
    #[serde(flatten)]
    _others: MapOnly,
}

impl Content {
    /// Nothing but text. `name` is the path to it.
    pub(super) fn text(self, name: &str) -> Result<String, Refusal> {
        let blocks = match self {
            Self::Text(text) => return Ok(text),
            Self::Blocks(blocks) => blocks,
        };
        let mut text = String::new();
        for (place, block) in blocks.into_iter().enumerate() {
            let name = format!("{name}[{place}]");
            match (&*block.kind, block.text) {
                ("text", Some(part)) => text.push_str(&part),
                ("text", None) => return Err(Refusal::parameter(name, "a text block has `text`")),
                (kind, _) => return Err(no_such(kind, name)),
            }
        }
        Ok(text)
    }

    fn blocks(self) -> Vec<Block> {
        match self {
            Self::Blocks(blocks) => blocks,
            Self::Text(text) => vec![Block {
                kind: "text".to_owned(),
                text: Some(text),
                id: None,
                name: None,
                input: None,
                tool_use_id: None,
                content: None,
                is_error: None,
                _others: MapOnly::default(),
            }],
        }
    }
}

/// A model without eyes and ears says so.
fn no_such(kind: &str, name: String) -> Refusal {
    let problem = match kind {
        "image" | "document" | "search_result" => {
            format!("this model reads text only, no `{kind}`")
        }
        _ => format!("blocks of type `{kind}` are not supported here"),
    };
    unsupported(name, problem)
}

impl Sent {
    /// Adds what was said, results of tools before what the user says to them.
    pub(super) fn add_to(self, messages: &mut Vec<Message>, at: usize) -> Result<(), Refusal> {
        let role = match &*self.role {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" => Role::System,
            _ => {
                let name = format!("messages[{at}].role");
                return Err(Refusal::parameter(name, "a role is user or assistant"));
            }
        };
        let mut message = Message::new(role, "");
        let mut spoke = false;
        for (place, block) in self.content.blocks().into_iter().enumerate() {
            let name = format!("messages[{at}].content[{place}]");
            match (&*block.kind, role) {
                ("text", _) => {
                    let missing = || Refusal::parameter(&*name, "a text block has `text`");
                    message.content.push_str(&block.text.ok_or_else(missing)?);
                    spoke = true;
                }
                ("tool_use", Role::Assistant) => message.tool_calls.push(block.call(&name)?),
                ("tool_result", Role::User) => messages.push(block.result(&name)?),
                // What a model thought earlier is not told to it again.
                ("thinking" | "redacted_thinking", Role::Assistant) => {}
                (kind, _) => return Err(no_such(kind, name)),
            }
        }
        if spoke || !message.tool_calls.is_empty() {
            messages.push(message);
        }
        Ok(())
    }
}

impl Block {
    fn call(self, name: &str) -> Result<ToolCall, Refusal> {
        match (self.id, self.name) {
            (Some(id), Some(called)) => Ok(ToolCall {
                id,
                name: called,
                arguments: self
                    .input
                    .unwrap_or_else(|| Value::Object(serde_json::Map::new())),
            }),
            _ => Err(Refusal::parameter(
                name,
                "a tool_use block has `id` and `name`",
            )),
        }
    }

    fn result(self, name: &str) -> Result<Message, Refusal> {
        let Some(call) = self.tool_use_id else {
            return Err(Refusal::parameter(
                name,
                "a tool_result block has `tool_use_id`",
            ));
        };
        let content = self
            .content
            .map(|content| content.text(&format!("{name}.content")));
        let mut content = content.transpose()?.unwrap_or_default();
        if self.is_error == Some(true) {
            content.insert_str(0, "Error: ");
        }
        Ok(Message {
            tool_call_id: Some(call),
            ..Message::new(Role::Tool, content)
        })
    }
}
