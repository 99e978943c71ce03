//! Chat templates: the Jinja programs that models carry, run as Hugging Face runs them.
//!
//! A template is somebody else's program. Source, output and work are limited, there is nothing to
//! load, and what Python lets grow without charge (`str.replace`, `str.join`, printing nested lists) is
//! done by bounded code of ours ([`functions`], [`json`]).
//!
//! Two things the engine does not limit: how deep values nest (dropping them recurses) and how often a
//! shared value is walked by `==` or `~`. The first is met by a stack sized for the work allowed. The
//! second can still burn time: a template that nobody has looked at belongs in a process that can be ended.

mod functions;
mod json;

use std::borrow::Cow;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, ErrorKind, UndefinedBehavior, Value, context};
use remuda_types::Time;

use crate::gguf::Metadata;
use crate::tools::{Style, Tool, ToolCall, spelled};

/// Longest template source in bytes; the longest known have 30 KiB.
pub const MAX_SOURCE_BYTES: usize = 256 << 10;
/// Longest rendered prompt in bytes.
pub const MAX_PROMPT_BYTES: usize = 8 << 20;
/// Work of one rendering: instructions, and one more for each 64 bytes made.
pub const MAX_FUEL: u64 = 500_000;
/// Deepest nesting of loops, blocks and macro calls (a call counts for several).
const MAX_DEPTH: usize = 200;
/// Stack for one rendering, reserved and not touched until used. Each unit of fuel can nest a value by
/// one level, and dropping a level takes less than 512 bytes.
const STACK_BYTES: usize = 256 << 20;
/// The name under which the template is kept.
const NAME: &str = "chat_template";

/// Why a template was refused, or failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The model file has no template.
    #[error("the model file has no tokenizer.chat_template: use the completions door")]
    Missing,
    /// The source is longer than [`MAX_SOURCE_BYTES`].
    #[error("the chat template has {bytes} bytes, over the limit of {MAX_SOURCE_BYTES}")]
    SourceTooLong {
        /// Its length.
        bytes: usize,
    },
    /// The source is not a template.
    #[error("the chat template does not compile")]
    Syntax(#[source] minijinja::Error),
    /// The template refused the conversation by `raise_exception`, for example for roles out of order.
    #[error("the chat template refuses the conversation: {message}")]
    Raised {
        /// What it said, at most 300 characters.
        message: String,
    },
    /// More work than [`MAX_FUEL`].
    #[error("the chat template does more work than {MAX_FUEL} units")]
    OutOfFuel,
    /// More output than [`MAX_PROMPT_BYTES`].
    #[error("the rendered prompt is over the limit of {MAX_PROMPT_BYTES} bytes")]
    OutputTooLong,
    /// The template failed otherwise.
    #[error("the chat template failed")]
    Failed(#[source] minijinja::Error),
}

/// Who speaks. Closed, because some templates write the role into a control token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The operator's instructions.
    System,
    /// The same, as newer models call it.
    Developer,
    /// The human, or the program that asks.
    User,
    /// The model.
    Assistant,
    /// The result of a tool.
    Tool,
}

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said; parts are joined by the caller.
    pub content: String,
    /// Calls that an assistant made.
    pub tool_calls: Vec<ToolCall>,
    /// The call whose result this is.
    pub tool_call_id: Option<String>,
}

impl Role {
    /// The role's name in templates and in the HTTP APIs.
    pub fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Developer => "developer",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }
}

impl Message {
    /// A message of nothing but text.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self {
            role,
            content: content.into(),
            tool_calls: Vec::new(),
            tool_call_id: None,
        }
    }

    fn value(&self) -> Value {
        let mut fields = vec![
            ("role", Value::from(self.role.name())),
            ("content", Value::from(self.content.as_str())),
        ];
        if !self.tool_calls.is_empty() {
            let calls: Vec<_> = self.tool_calls.iter().map(ToolCall::json).collect();
            fields.push(("tool_calls", Value::from(Serde(calls))));
        }
        if let Some(id) = &self.tool_call_id {
            fields.push(("tool_call_id", Value::from(id.as_str())));
        }
        Value::from_pairs(fields)
    }
}

/// What a template is given.
#[derive(Clone, Debug, PartialEq)]
pub struct Conversation {
    /// The messages, oldest first.
    pub messages: Vec<Message>,
    /// Functions that the model may call.
    pub tools: Vec<Tool>,
    /// Whether the model is to answer now: the prompt then ends where its answer begins.
    pub add_generation_prompt: bool,
    /// What the template is told when it asks for the date, as UTC.
    pub now: Time,
}

/// A compiled chat template.
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    source: String,
    style: Option<Style>,
    bos: String,
    eos: String,
}

impl ChatTemplate {
    /// Compiles a template. `bos` and `eos` are the texts of the tokens that begin and end a text,
    /// empty where the model has none.
    pub fn compile(source: &str, bos: &str, eos: &str) -> Result<Self, Error> {
        if source.len() > MAX_SOURCE_BYTES {
            return Err(Error::SourceTooLong {
                bytes: source.len(),
            });
        }
        let mut environment = environment();
        environment
            .add_template_owned(NAME, source.to_owned())
            .map_err(Error::Syntax)?;
        let (bos, eos) = (bos.to_owned(), eos.to_owned());
        Ok(Self {
            environment,
            source: source.to_owned(),
            style: Style::of_template(source),
            bos,
            eos,
        })
    }

    /// The template of a model file.
    pub fn from_gguf(metadata: &Metadata) -> Result<Self, Error> {
        let token = |id: Option<u64>| {
            let index = id.and_then(|id| usize::try_from(id).ok());
            index
                .and_then(|index| metadata.tokens().get(index))
                .map_or("", String::as_str)
        };
        let source = metadata.chat_template().ok_or(Error::Missing)?;
        Self::compile(source, token(metadata.bos_id()), token(metadata.eos_id()))
    }

    /// The template's source.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The prompt as text. To make ids of it use [`crate::prompt::prepare`], which keeps users from
    /// writing control tokens.
    pub fn render(&self, conversation: &Conversation) -> Result<String, Error> {
        stacker::grow(STACK_BYTES, || self.render_here(conversation))
    }

    fn render_here(&self, conversation: &Conversation) -> Result<String, Error> {
        let template = self.environment.get_template(NAME).map_err(Error::Failed)?;
        let mut output = functions::Limited::new(MAX_PROMPT_BYTES);
        let rendered = template.render_captured_to(self.variables(conversation), &mut output);
        match rendered {
            Ok(_) => Ok(output.into_text()),
            Err(_) if output.is_full() => Err(Error::OutputTooLong),
            Err(error) => Err(classify(error)),
        }
    }

    /// How the model that this is the template of writes calls.
    pub fn tool_style(&self) -> Style {
        self.style.unwrap_or(Style::Tagged)
    }

    /// The conversation as this template can show it: with tools, or with tools in words.
    pub(crate) fn fitting<'a>(&self, conversation: &'a Conversation) -> Cow<'a, Conversation> {
        if self.style.is_none() && conversation.speaks_of_tools() {
            Cow::Owned(spelled(conversation))
        } else {
            Cow::Borrowed(conversation)
        }
    }

    /// The variables that Hugging Face's `apply_chat_template` sets.
    fn variables(&self, conversation: &Conversation) -> Value {
        context! {
            messages => conversation.messages.iter().map(Message::value).collect::<Vec<_>>(),
            add_generation_prompt => conversation.add_generation_prompt,
            bos_token => self.bos.as_str(),
            eos_token => self.eos.as_str(),
            tools => tools(&conversation.tools),
            documents => Value::from(()),
            strftime_now => functions::strftime(conversation.now),
        }
    }
}

/// Templates ask whether there are tools, not how many.
fn tools(tools: &[Tool]) -> Value {
    if tools.is_empty() {
        return Value::from(());
    }
    Value::from(Serde(tools.iter().map(Tool::json).collect::<Vec<_>>()))
}

impl Conversation {
    /// Changes all texts that its author wrote.
    pub(crate) fn map_texts(&mut self, change: &mut impl FnMut(&mut String)) {
        for message in &mut self.messages {
            change(&mut message.content);
            message.tool_call_id.iter_mut().for_each(&mut *change);
            for call in &mut message.tool_calls {
                change(&mut call.id);
                change(&mut call.name);
                map_json(&mut call.arguments, change);
            }
        }
        for tool in &mut self.tools {
            change(&mut tool.name);
            tool.description.iter_mut().for_each(&mut *change);
            tool.parameters
                .iter_mut()
                .for_each(|schema| map_json(schema, change));
        }
    }

    fn speaks_of_tools(&self) -> bool {
        let in_message =
            |message: &Message| message.role == Role::Tool || !message.tool_calls.is_empty();
        !self.tools.is_empty() || self.messages.iter().any(in_message)
    }
}

fn map_json(value: &mut serde_json::Value, change: &mut impl FnMut(&mut String)) {
    use serde_json::Value::{Array, Object, String};
    match value {
        String(text) => change(text),
        Array(values) => values.iter_mut().for_each(|value| map_json(value, change)),
        Object(fields) => {
            let changed = std::mem::take(fields)
                .into_iter()
                .map(|(mut name, mut value)| {
                    change(&mut name);
                    map_json(&mut value, change);
                    (name, value)
                });
            *fields = changed.collect();
        }
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => {}
    }
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build();
    // The delimiters are the defaults, which always build.
    environment.set_syntax(syntax.unwrap_or_default());
    environment.set_undefined_behavior(UndefinedBehavior::Lenient);
    environment.set_fuel(Some(MAX_FUEL));
    environment.set_recursion_limit(MAX_DEPTH);
    functions::install(&mut environment);
    environment.add_filter("tojson", json::tojson);
    environment
}

fn classify(error: minijinja::Error) -> Error {
    match functions::raised(&error) {
        Some(message) => Error::Raised { message },
        None if ends_in(&error, ErrorKind::OutOfFuel) => Error::OutOfFuel,
        None => Error::Failed(error),
    }
}

/// Whether an error or one of its causes is of this kind.
fn ends_in(error: &minijinja::Error, kind: ErrorKind) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error
            .downcast_ref::<minijinja::Error>()
            .is_some_and(|error| error.kind() == kind)
        {
            return true;
        }
        cause = error.source();
    }
    false
}
