//! Tools as clients send them, whatever the API: checked, and turned into a toolbox.

use std::collections::BTreeSet;

use remuda_tokens::tools::{Choice, Tool};

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

/// A toolbox; none when there are no tools or none is to be called. `name_at` is the path of a tool's
/// name.
pub(super) fn toolbox(
    tools: Vec<Tool>,
    wish: Wish,
    parallel: bool,
    name_at: impl Fn(usize) -> String,
) -> Result<Option<Toolbox>, Refusal> {
    if tools.len() > MAX_TOOLS {
        let problem = format!("{MAX_TOOLS} tools are allowed, not {}", tools.len());
        return Err(Refusal::parameter("tools", problem));
    }
    let mut names = BTreeSet::new();
    for (at, tool) in tools.iter().enumerate() {
        check_name(&tool.name).map_err(|problem| Refusal::parameter(name_at(at), problem))?;
        if !names.insert(&*tool.name) {
            let problem = format!("there are two tools called `{}`", tool.name);
            return Err(Refusal::parameter(name_at(at), problem));
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
    Ok(Some(Toolbox {
        tools,
        choice,
        parallel,
    }))
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
