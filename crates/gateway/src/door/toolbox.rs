//! Tools as clients send them, whatever the API: checked, and turned into a toolbox.

use std::collections::BTreeSet;

use remuda_tokens::Message;
use remuda_tokens::tools::{Choice, Tool};
use serde_json::Value;

use crate::request::{Refusal, Toolbox};

/// OpenAI's limit.
const MAX_TOOLS: usize = 128;
/// The longest name of a tool.
const MAX_NAME: usize = 128;

/// What is to be done with tools, none included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    None,
    May(Choice),
}

impl Wish {
    /// OpenAI's `tool_choice`. Its APIs differ in where a choice that names a function has the name;
    /// `form` is what such a choice looks like.
    pub(super) fn read(
        choice: Option<&Value>,
        named: impl Fn(&Value) -> Option<&str>,
        form: &str,
    ) -> Result<Self, Refusal> {
        let is_function =
            |choice: &&Value| choice.get("type").is_some_and(|kind| kind == "function");
        let choice = match choice {
            None | Some(Value::Null) => Choice::Auto,
            Some(Value::String(word)) if word == "auto" => Choice::Auto,
            Some(Value::String(word)) if word == "required" => Choice::Required,
            Some(Value::String(word)) if word == "none" => return Ok(Self::None),
            Some(choice) => {
                let name = Some(choice).filter(is_function).and_then(named);
                let words = "`tool_choice` is \"none\", \"auto\", \"required\" or ";
                let name = name.ok_or_else(|| lacks(&format!("{words}{form}")))?;
                Choice::Named(name.to_owned())
            }
        };
        Ok(Self::May(choice))
    }
}

/// Where a door finds what is wrong with a tool.
pub(super) struct Paths {
    pub(super) name: fn(usize) -> String,
    pub(super) schema: fn(usize) -> String,
}

/// A toolbox; none when there are no tools or none is to be called.
///
/// Who must call, calls once unless the client says otherwise: small models would call for ever.
pub(super) fn toolbox(
    tools: Vec<Tool>,
    wish: Wish,
    parallel: Option<bool>,
    paths: &Paths,
) -> Result<Option<Toolbox>, Refusal> {
    if tools.len() > MAX_TOOLS {
        let problem = format!("{MAX_TOOLS} tools are allowed, not {}", tools.len());
        return Err(Refusal::parameter("tools", problem));
    }
    let mut names = BTreeSet::new();
    for (at, tool) in tools.iter().enumerate() {
        check_name(&tool.name).map_err(|problem| Refusal::parameter((paths.name)(at), problem))?;
        if !names.insert(&*tool.name) {
            let problem = format!("there are two tools called `{}`", tool.name);
            return Err(Refusal::parameter((paths.name)(at), problem));
        }
        if !is_of_an_object(tool) {
            let problem = "the schema of a tool's arguments has the type `object`";
            return Err(Refusal::parameter((paths.schema)(at), problem));
        }
    }
    let choice = match wish {
        Wish::None => return Ok(None),
        Wish::May(Choice::Auto) if tools.is_empty() => return Ok(None),
        Wish::May(Choice::Required) if tools.is_empty() => return Err(lacks("there are no tools")),
        Wish::May(Choice::Named(name)) if !names.contains(&*name) => {
            return Err(lacks(&format!(
                "there is no tool called `{name}` in `tools`"
            )));
        }
        Wish::May(choice) => choice,
    };
    let parallel = match choice {
        Choice::Auto => parallel.unwrap_or(true),
        Choice::Required => parallel.unwrap_or(false),
        Choice::Named(_) => false,
    };
    Ok(Some(Toolbox {
        tools,
        choice,
        parallel,
        schema_path: paths.schema,
    }))
}

fn is_of_an_object(tool: &Tool) -> bool {
    match &tool.parameters {
        None => true,
        Some(Value::Object(fields)) => fields.get("type").is_none_or(|kind| kind == "object"),
        Some(_) => false,
    }
}

/// The first message that has the result of a call which nobody made, and which call that is.
pub(super) fn stray_result(messages: &[Message]) -> Option<(usize, &str)> {
    let mut made = BTreeSet::new();
    for (at, message) in messages.iter().enumerate() {
        made.extend(message.tool_calls.iter().map(|call| &*call.id));
        let answered = message.tool_call_id.as_deref();
        if let Some(stray) = answered.filter(|id| !made.contains(id)) {
            return Some((at, stray));
        }
    }
    None
}

fn lacks(problem: &str) -> Refusal {
    Refusal::parameter("tool_choice", problem)
}

/// Names stand in grammars and prompts as they are.
fn check_name(name: &str) -> Result<(), String> {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(fine) {
        return Err(format!(
            "a tool's name has 1 to {MAX_NAME} of a-z, A-Z, 0-9, `_`, `-` and `.`"
        ));
    }
    Ok(())
}
