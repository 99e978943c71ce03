//! What a body asks for: checked, and turned into an ask.

use remuda_tokens::tools::{Choice, Tool};
use remuda_tokens::{Message, Role};
use remuda_wire::infer::Sampler;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::content::{Content, Sent};
use crate::door::fields::{self, part, unsupported, within};
use crate::door::map_only::MapOnly;
use crate::door::toolbox::{self, Paths, Wish, stray_result};
use crate::request::{Ask, Form, Input, Refusal, Toolbox};

/// Fields that change nothing here: the models have no effort to make, think when they were made to,
/// and cache whatever there is room for.
const HARMLESS: &[&str] = &[
    "metadata",
    "service_tier",
    "thinking",
    "cache_control",
    "inference_geo",
    "speed",
];

#[derive(Debug, Deserialize)]
struct Generation {
    max_tokens: u32,
    stream: Option<bool>,
    stop_sequences: Option<Vec<String>>,
    temperature: Option<f32>,
    top_p: Option<f32>,
    top_k: Option<u32>,
    output_config: Option<OutputConfig>,
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct OutputConfig {
    format: Option<Format>,
    #[serde(flatten)]
    _others: MapOnly,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Format {
    JsonSchema { schema: Value },
}

#[derive(Debug, Deserialize)]
struct Prompt {
    model: String,
    messages: Vec<Sent>,
    system: Option<Content>,
    tools: Option<Vec<SentTool>>,
    tool_choice: Option<SentChoice>,
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct SentTool {
    #[serde(rename = "type")]
    kind: Option<String>,
    name: String,
    description: Option<String>,
    input_schema: Option<Value>,
    strict: Option<bool>,
    #[serde(flatten)]
    _others: MapOnly,
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct SentChoice {
    #[serde(rename = "type")]
    kind: String,
    name: Option<String>,
    disable_parallel_tool_use: Option<bool>,
    #[serde(flatten)]
    _others: MapOnly,
}

/// What is prompted with.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) model: String,
    pub(super) input: Input,
    pub(super) toolbox: Option<Toolbox>,
}

/// Reads the body of a message.
pub(super) fn ask(bytes: &[u8]) -> Result<Ask, Refusal> {
    let body = fields::object(bytes)?;
    check(&body)?;
    let wanted = wanted(&body)?;
    let generation: Generation = part(&body)?;
    if generation.max_tokens == 0 {
        let problem = "at least one token must be asked for";
        return Err(Refusal::parameter("max_tokens", problem));
    }
    Ok(Ask {
        model: wanted.model,
        inputs: vec![wanted.input],
        each: 1,
        toolbox: wanted.toolbox,
        sampler: sampler(&generation)?,
        form: generation.output_config.and_then(OutputConfig::form),
        seed: None,
        max_tokens: Some(generation.max_tokens),
        stops: generation.stop_sequences.unwrap_or_default(),
        top_logprobs: None,
        streamed: generation.stream.unwrap_or(false),
    })
}

/// Reads the body of a question how many tokens a message has.
pub(super) fn counted(bytes: &[u8]) -> Result<Wanted, Refusal> {
    let body = fields::object(bytes)?;
    check(&body)?;
    wanted(&body)
}

/// Refuses what nobody here knows: it may well change the answer.
fn check(body: &Value) -> Result<(), Refusal> {
    const KNOWN: &[&str] = &[
        "model",
        "messages",
        "system",
        "tools",
        "tool_choice",
        "max_tokens",
        "stream",
        "stop_sequences",
        "temperature",
        "top_p",
        "top_k",
        "output_config",
    ];
    let nothing = Map::new();
    let fields = body.as_object().unwrap_or(&nothing);
    let empty = |value: &Value| match value {
        Value::Null => true,
        Value::Array(values) => values.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    };
    for (name, value) in fields {
        let known = KNOWN.contains(&&**name) || HARMLESS.contains(&&**name);
        if !known && !empty(value) {
            return Err(unsupported(
                name,
                "this field is not supported here: leave it out",
            ));
        }
    }
    Ok(())
}

fn wanted(body: &Value) -> Result<Wanted, Refusal> {
    let prompt: Prompt = part(body)?;
    let mut messages = Vec::new();
    if let Some(system) = prompt.system {
        messages.push(Message::new(Role::System, system.text("system")?));
    }
    if prompt.messages.is_empty() {
        let problem = "at least one message is needed";
        return Err(Refusal::parameter("messages", problem));
    }
    for (at, message) in prompt.messages.into_iter().enumerate() {
        message.add_to(&mut messages, at)?;
    }
    if let Some((_, call)) = stray_result(&messages) {
        let problem =
            format!("a tool_result has the tool_use_id `{call}`, and no tool_use before it");
        return Err(Refusal::parameter("messages", problem));
    }
    if messages
        .last()
        .is_some_and(|last| last.role == Role::Assistant)
    {
        let problem =
            "the last message must be the user's: an answer cannot be begun for the model";
        return Err(unsupported("messages", problem));
    }
    Ok(Wanted {
        toolbox: toolbox(prompt.tools.unwrap_or_default(), prompt.tool_choice)?,
        model: prompt.model,
        input: Input::Chat(messages),
    })
}

fn toolbox(sent: Vec<SentTool>, choice: Option<SentChoice>) -> Result<Option<Toolbox>, Refusal> {
    let tools = sent.into_iter().enumerate().map(|(at, tool)| tool.tool(at));
    let single = choice
        .as_ref()
        .and_then(|choice| choice.disable_parallel_tool_use);
    let wish = choice.map_or(Ok(Wish::May(Choice::Auto)), SentChoice::wish)?;
    let paths = Paths {
        name: |at| format!("tools[{at}].name"),
        schema: |at| format!("tools[{at}].input_schema"),
    };
    let tools = tools.collect::<Result<_, _>>()?;
    toolbox::toolbox(tools, wish, single.map(|single| !single), &paths)
}

impl SentTool {
    fn tool(self, at: usize) -> Result<Tool, Refusal> {
        if let Some(kind) = self.kind.filter(|kind| kind != "custom") {
            let problem = format!("tools of type `{kind}` are not supported, only your own");
            return Err(unsupported(format!("tools[{at}].type"), problem));
        }
        Ok(Tool {
            name: self.name,
            description: self.description,
            parameters: self.input_schema,
            strict: self.strict.unwrap_or(false),
        })
    }
}

impl SentChoice {
    fn wish(self) -> Result<Wish, Refusal> {
        match (&*self.kind, self.name) {
            ("auto", _) => Ok(Wish::May(Choice::Auto)),
            ("any", _) => Ok(Wish::May(Choice::Required)),
            ("tool", Some(name)) => Ok(Wish::May(Choice::Named(name))),
            ("none", _) => Ok(Wish::None),
            _ => Err(Refusal::parameter(
                "tool_choice",
                "`tool_choice` has the type `auto`, `any`, `none`, or `tool` with a `name`",
            )),
        }
    }
}

impl OutputConfig {
    fn form(self) -> Option<Form> {
        let Format::JsonSchema { schema } = self.format?;
        Some(Form {
            constraint: fields::schema(schema),
            parameter: "output_config.format.schema",
        })
    }
}

fn sampler(generation: &Generation) -> Result<Sampler, Refusal> {
    let whole = Sampler::default();
    let share = |name, given| within(name, given, 1.0, 0.0, 1.0);
    Ok(Sampler {
        temperature: share("temperature", generation.temperature)?,
        top_p: share("top_p", generation.top_p)?,
        top_k: generation.top_k.unwrap_or(whole.top_k),
        ..whole
    })
}
