//! `tools` and `tool_choice`.

use remuda_tokens::tools::Tool;
use serde::Deserialize;
use serde_json::Value;

use crate::door::fields::{part, unsupported};
use crate::door::map_only::MapOnly;
use crate::door::toolbox::{self, Paths, Wish};
use crate::request::{Refusal, Toolbox};

#[derive(Debug, Deserialize)]
struct Body {
    tools: Option<Vec<Sent>>,
    tool_choice: Option<Value>,
    parallel_tool_calls: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct Sent {
    #[serde(rename = "type")]
    kind: String,
    function: Option<Function>,
    #[serde(flatten)]
    _others: MapOnly,
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct Function {
    name: String,
    description: Option<String>,
    parameters: Option<Value>,
    strict: Option<bool>,
    #[serde(flatten)]
    _others: MapOnly,
}

/// The toolbox that a body asks for.
pub(super) fn toolbox(body: &Value) -> Result<Option<Toolbox>, Refusal> {
    let body: Body = part(body)?;
    let sent = body.tools.unwrap_or_default().into_iter().enumerate();
    let tools = sent.map(|(at, tool)| tool.tool(at));
    let wish = Wish::read(
        body.tool_choice.as_ref(),
        named,
        "{\"type\": \"function\", \"function\": {\"name\": …}}",
    )?;
    let paths = Paths {
        name: |at| format!("tools[{at}].function.name"),
        schema: |at| format!("tools[{at}].function.parameters"),
    };
    let tools = tools.collect::<Result<_, _>>()?;
    toolbox::toolbox(tools, wish, body.parallel_tool_calls, &paths)
}

impl Sent {
    fn tool(self, at: usize) -> Result<Tool, Refusal> {
        if self.kind != "function" {
            let problem = format!(
                "tools of type `{}` are not supported, only `function`",
                self.kind
            );
            return Err(unsupported(format!("tools[{at}].type"), problem));
        }
        let missing =
            || Refusal::parameter(format!("tools[{at}].function"), "a tool has `function`");
        let function = self.function.ok_or_else(missing)?;
        Ok(Tool {
            name: function.name,
            description: function.description,
            parameters: function.parameters,
            strict: function.strict.unwrap_or(false),
        })
    }
}

/// The name in a choice that names a function.
fn named(choice: &Value) -> Option<&str> {
    choice.get("function")?.get("name")?.as_str()
}
