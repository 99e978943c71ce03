//! Items of a conversation: as they are sent, as they are kept, and as messages.

use remuda_tokens::tools::ToolCall;
use remuda_tokens::{Message, Role};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::door::fields::unsupported;
use crate::door::openai::chat::arguments;
use crate::door::toolbox::stray_result;
use crate::request::Refusal;

/// The items of an input, which may be one text. Each has a type then.
pub(super) fn read(input: Option<&Value>) -> Result<Vec<Value>, Refusal> {
    let wrong = || Refusal::parameter("input", "`input` is a text or a list of items");
    match input {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![json!({
            "type": "message", "role": "user", "content": [{"type": "input_text", "text": text}],
        })]),
        Some(Value::Array(items)) => {
            let items = items.iter().enumerate().map(typed);
            // What a model thought earlier is not told to it again.
            let told =
                items.filter(|item| !matches!(item, Ok(item) if item["type"] == "reasoning"));
            told.collect()
        }
        Some(_) => Err(wrong()),
    }
}

fn typed((at, item): (usize, &Value)) -> Result<Value, Refusal> {
    let mut item = item.clone();
    let Some(fields) = item.as_object_mut() else {
        return Err(Refusal::parameter(
            format!("input[{at}]"),
            "an item is an object",
        ));
    };
    if fields.get("type").is_none_or(Value::is_null) {
        fields.insert("type".to_owned(), "message".into());
    }
    if let Some(Value::String(text)) = fields.get("content") {
        let kind = match fields.get("role") {
            Some(role) if role == "assistant" => "output_text",
            Some(_) | None => "input_text",
        };
        let content = json!([{"type": kind, "text": text}]);
        fields.insert("content".to_owned(), content);
    }
    Ok(item)
}

/// Gives an id to each that has none.
pub(super) fn with_ids(mut items: Vec<Value>, own: &str) -> Vec<Value> {
    for (at, item) in items.iter_mut().enumerate() {
        let prefix = match item["type"].as_str() {
            Some("function_call") => "fc",
            Some("function_call_output") => "fco",
            Some(_) | None => "msg",
        };
        if !item["id"].is_string() {
            item["id"] = format!("{prefix}_{own}i{at:03}").into();
        }
    }
    items
}

/// An item as far as the model is told of it.
#[derive(Debug, Deserialize)]
struct Item {
    #[serde(rename = "type")]
    kind: String,
    role: Option<String>,
    content: Option<Vec<Part>>,
    call_id: Option<String>,
    name: Option<String>,
    arguments: Option<String>,
    output: Option<Output>,
}

#[derive(Debug, Deserialize)]
struct Part {
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
    refusal: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "`output` is a text or a list of parts")]
enum Output {
    Text(String),
    Parts(Vec<Part>),
}

/// The messages that items are, added to those before. The first `known` items are of earlier requests.
pub(super) fn messages<'a>(
    items: impl Iterator<Item = &'a Value>,
    known: usize,
    messages: &mut Vec<Message>,
) -> Result<(), Refusal> {
    for (at, item) in items.enumerate() {
        let name = match at.checked_sub(known) {
            Some(at) => format!("input[{at}]"),
            None => "previous_response_id".to_owned(),
        };
        let item: Item = serde_path_to_error::deserialize(item).map_err(|error| {
            let path = format!("{name}.{}", error.path());
            Refusal::parameter(path, error.inner().to_string())
        })?;
        item.add_to(messages, &name)?;
    }
    if let Some((_, call)) = stray_result(messages) {
        let problem =
            format!("there is no function_call with the call_id `{call}` before its output");
        return Err(Refusal::parameter("input", problem));
    }
    if messages.iter().all(|message| message.role == Role::System) {
        return Err(Refusal::parameter("input", "`input` has nothing to answer"));
    }
    Ok(())
}

impl Item {
    fn add_to(self, messages: &mut Vec<Message>, name: &str) -> Result<(), Refusal> {
        match &*self.kind {
            "message" => {
                let role = role(self.role.as_deref(), name)?;
                let content = text(self.content.unwrap_or_default(), &format!("{name}.content"))?;
                messages.push(Message::new(role, content));
            }
            "function_call" => add_call(self.call(name)?, messages),
            "function_call_output" => messages.push(self.result(name)?),
            kind => {
                let problem = format!("items of type `{kind}` are not supported here");
                return Err(unsupported(name, problem));
            }
        }
        Ok(())
    }

    fn call(self, name: &str) -> Result<ToolCall, Refusal> {
        let (Some(id), Some(called)) = (self.call_id, self.name) else {
            let problem = "a function_call has `call_id` and `name`";
            return Err(Refusal::parameter(name, problem));
        };
        Ok(ToolCall {
            id,
            name: called,
            arguments: arguments(self.arguments.unwrap_or_default()),
        })
    }

    fn result(self, name: &str) -> Result<Message, Refusal> {
        let Some(call) = self.call_id else {
            let problem = "a function_call_output has `call_id`";
            return Err(Refusal::parameter(name, problem));
        };
        let content = match self.output {
            Some(Output::Text(text)) => text,
            Some(Output::Parts(parts)) => text(parts, &format!("{name}.output"))?,
            None => String::new(),
        };
        Ok(Message {
            tool_call_id: Some(call),
            ..Message::new(Role::Tool, content)
        })
    }
}

/// Calls belong to what the model said before them.
fn add_call(call: ToolCall, messages: &mut Vec<Message>) {
    match messages.last_mut() {
        Some(last) if last.role == Role::Assistant => last.tool_calls.push(call),
        _ => messages.push(Message {
            tool_calls: vec![call],
            ..Message::new(Role::Assistant, "")
        }),
    }
}

fn role(role: Option<&str>, name: &str) -> Result<Role, Refusal> {
    match role {
        Some("user") => Ok(Role::User),
        Some("assistant") => Ok(Role::Assistant),
        Some("system") => Ok(Role::System),
        Some("developer") => Ok(Role::Developer),
        _ => {
            let problem = "a role is user, assistant, system or developer";
            Err(Refusal::parameter(format!("{name}.role"), problem))
        }
    }
}

fn text(parts: Vec<Part>, name: &str) -> Result<String, Refusal> {
    let mut text = String::new();
    for (place, part) in parts.into_iter().enumerate() {
        let name = format!("{name}[{place}]");
        match (&*part.kind, part.text.or(part.refusal)) {
            ("input_text" | "output_text" | "text" | "refusal", Some(part)) => text.push_str(&part),
            ("input_image" | "input_file" | "input_audio", _) => {
                let problem = format!("this model reads text only, no `{}`", part.kind);
                return Err(unsupported(name, problem));
            }
            (kind, _) => {
                let problem =
                    format!("parts of type `{kind}` are not supported here, only `input_text`");
                return Err(unsupported(name, problem));
            }
        }
    }
    Ok(text)
}
