//! What a body asks for: checked, and turned into an ask.

use remuda_tokens::tools::Tool;
use remuda_tokens::{Message, Role};
use remuda_wire::infer::Sampler;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::composer::Record;
use super::items;
use super::object::Frame;
use crate::door::fields::{self, part, unsupported, within};
use crate::door::map_only::MapOnly;
use crate::door::toolbox::{self, Paths, Wish};
use crate::request::{Ask, Form, Input, Refusal, Toolbox};

/// Fields that change nothing here, whatever they say.
const HARMLESS: &[&str] = &[
    "metadata",
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "service_tier",
    "reasoning",
    "stream_options",
    // A prompt that does not fit is refused either way.
    "truncation",
    // Nothing that could be included is ever there.
    "include",
    "max_tool_calls",
];

/// Fields that are read.
const KNOWN: &[&str] = &[
    "model",
    "input",
    "instructions",
    "previous_response_id",
    "max_output_tokens",
    "temperature",
    "top_p",
    "stream",
    "store",
    "background",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "text",
    "top_logprobs",
];

#[derive(Debug, Deserialize)]
struct Body {
    model: String,
    input: Option<Value>,
    instructions: Option<String>,
    previous_response_id: Option<String>,
    max_output_tokens: Option<u32>,
    temperature: Option<f32>,
    top_p: Option<f32>,
    stream: Option<bool>,
    store: Option<bool>,
    background: Option<bool>,
    tools: Option<Vec<SentTool>>,
    tool_choice: Option<Value>,
    parallel_tool_calls: Option<bool>,
    text: Option<Text>,
    top_logprobs: Option<u8>,
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct SentTool {
    #[serde(rename = "type")]
    kind: String,
    name: Option<String>,
    description: Option<String>,
    parameters: Option<Value>,
    strict: Option<bool>,
    #[serde(flatten)]
    _others: MapOnly,
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct Text {
    format: Option<Format>,
    #[serde(flatten)]
    _others: MapOnly,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Format {
    Text,
    JsonObject,
    JsonSchema { schema: Value },
}

/// A body in our words.
#[derive(Debug)]
pub(super) struct Wanted {
    /// As it was sent, for what the response repeats.
    sent: Map<String, Value>,
    body: Body,
    pub(super) previous: Option<String>,
    /// Items of this request.
    input: Vec<Value>,
    /// Items of those before.
    history: Vec<Value>,
}

impl Wanted {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Refusal> {
        let sent = fields::object(bytes)?;
        check(&sent)?;
        let body: Body = part(&sent)?;
        if body.stream == Some(true) && body.background == Some(true) {
            let problem = "a response in the background cannot be streamed: ask for it later";
            return Err(unsupported("background", problem));
        }
        if body.background == Some(true) && body.store == Some(false) {
            let problem = "a response in the background must be kept: leave `store` out";
            return Err(Refusal::parameter("store", problem));
        }
        Ok(Self {
            input: items::read(body.input.as_ref())?,
            previous: body.previous_response_id.clone(),
            sent: match sent {
                Value::Object(sent) => sent,
                _ => Map::new(),
            },
            body,
            history: Vec::new(),
        })
    }

    /// About as many as would be kept.
    fn bytes(&self) -> usize {
        let length = |value: &Value| value.to_string().len();
        let items = self.history.iter().chain(&self.input);
        items.map(length).sum::<usize>() + self.sent.values().map(length).sum::<usize>()
    }

    /// Begins with what came before.
    pub(super) fn go_on_from(&mut self, history: &str) -> Result<(), Refusal> {
        self.history = serde_json::from_str(history).map_err(|_| Refusal::BrokeOff)?;
        Ok(())
    }

    /// What to do, what the response will look like, and what is to be remembered of it. `own` is what
    /// ids are made of; a conversation of more than `most_kept` bytes is not kept.
    pub(super) fn ask(self, own: &str, most_kept: usize) -> Result<(Ask, Frame, Record), Refusal> {
        let kept = self.body.store.unwrap_or(true);
        if kept && self.bytes() > most_kept {
            let problem = format!(
                "a conversation of more than {most_kept} bytes is not kept: send it whole, with `store` false"
            );
            return Err(Refusal::parameter("store", problem));
        }
        let input = items::with_ids(self.input, own);
        let items = self.history.iter().chain(&input);
        let mut messages = Vec::new();
        if let Some(instructions) = &self.body.instructions {
            messages.push(Message::new(Role::System, instructions));
        }
        items::messages(items, self.history.len(), &mut messages)?;
        let body = &self.body;
        let ask = Ask {
            model: body.model.clone(),
            inputs: vec![Input::Chat(messages)],
            each: 1,
            toolbox: tools(body)?,
            form: form(body),
            sampler: sampler(body)?,
            seed: None,
            max_tokens: max_tokens(body)?,
            stops: Vec::new(),
            top_logprobs: None,
            streamed: body.stream.unwrap_or(false),
        };
        let record = Record {
            kept,
            history: self.history,
            input,
        };
        Ok((ask, Frame::new(own, self.sent), record))
    }
}

fn check(body: &Value) -> Result<(), Refusal> {
    let empty = |value: &Value| match value {
        Value::Null => true,
        Value::Bool(on) => !on,
        Value::Array(values) => values.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Number(_) | Value::String(_) => false,
    };
    let mut fields = body.as_object().into_iter().flatten();
    let strange = fields.find(|(name, value)| {
        !KNOWN.contains(&&***name) && !HARMLESS.contains(&&***name) && !empty(value)
    });
    match strange {
        Some((name, _)) => Err(unsupported(
            name,
            "this parameter is not supported here: leave it out",
        )),
        None => Ok(()),
    }
}

fn max_tokens(body: &Body) -> Result<Option<u32>, Refusal> {
    match body.max_output_tokens {
        Some(0) => Err(Refusal::parameter(
            "max_output_tokens",
            "at least one token must be asked for",
        )),
        most => Ok(most),
    }
}

fn sampler(body: &Body) -> Result<Sampler, Refusal> {
    if body.top_logprobs.is_some_and(|top| top > 0) {
        let problem = "probabilities are not supported at this door: ask chat completions";
        return Err(unsupported("top_logprobs", problem));
    }
    Ok(Sampler {
        temperature: within("temperature", body.temperature, 1.0, 0.0, 2.0)?,
        top_p: within("top_p", body.top_p, 1.0, 0.0, 1.0)?,
        ..Sampler::default()
    })
}

fn form(body: &Body) -> Option<Form> {
    let schema = match body.text.as_ref()?.format.as_ref()? {
        Format::Text => return None,
        Format::JsonObject => serde_json::json!({"type": "object"}),
        Format::JsonSchema { schema } => schema.clone(),
    };
    Some(Form {
        constraint: fields::schema(schema),
        parameter: "text.format.schema",
    })
}

fn tools(body: &Body) -> Result<Option<Toolbox>, Refusal> {
    let sent = body.tools.iter().flatten().enumerate();
    let tools = sent.map(|(at, tool)| tool.tool(at));
    let wish = Wish::read(
        body.tool_choice.as_ref(),
        named,
        "{\"type\": \"function\", \"name\": …}",
    )?;
    let paths = Paths {
        name: |at| format!("tools[{at}].name"),
        schema: |at| format!("tools[{at}].parameters"),
    };
    let tools = tools.collect::<Result<_, _>>()?;
    toolbox::toolbox(tools, wish, body.parallel_tool_calls, &paths)
}

impl SentTool {
    fn tool(&self, at: usize) -> Result<Tool, Refusal> {
        if self.kind != "function" {
            let problem = format!(
                "tools of type `{}` are not supported, only `function`",
                self.kind
            );
            return Err(unsupported(format!("tools[{at}].type"), problem));
        }
        let missing = || Refusal::parameter(format!("tools[{at}].name"), "a function has a name");
        Ok(Tool {
            name: self.name.clone().ok_or_else(missing)?,
            description: self.description.clone(),
            parameters: self.parameters.clone(),
            strict: self.strict.unwrap_or(false),
        })
    }
}

/// The name in a choice that names a function.
fn named(choice: &Value) -> Option<&str> {
    choice.get("name")?.as_str()
}
