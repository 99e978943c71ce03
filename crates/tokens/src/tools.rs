//! Functions that a model may call: how they are shown to it, what its output is held to, and how its
//! calls are read from its text.
//!
//! Models write calls in the way they were trained to ([`Style`]), which their chat template shows. One
//! whose template knows no tools, or writes them in a way that is not known here, is told in words
//! (`spelled`) to write them the tagged way.

mod call;
mod grammar;
mod reader;
mod spelled;

use serde_json::{Value, json};

pub use grammar::{Choice, Mixed, arguments, constraint, schema};
pub use reader::{Piece, Reader};
pub(crate) use spelled::spelled;

/// A function that a model may call.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    /// Its name: letters, digits, `_`, `-` and `.` only.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// A JSON schema of its arguments, an object; none has no arguments.
    pub parameters: Option<Value>,
    /// Whether its schema must be kept to; a schema that cannot be is then refused.
    pub strict: bool,
}

/// A call that the model made earlier in a conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolCall {
    /// By which its result is known.
    pub id: String,
    /// Of which function.
    pub name: String,
    /// Its arguments; a text where they were not an object.
    pub arguments: Value,
}

/// How a model writes a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `<tool_call>{"name": …, "arguments": …}</tool_call>`, as Hermes, Qwen and many others do.
    Tagged,
    /// `{"name": …, "parameters": …}` and nothing else, as Llama 3 does.
    Bare,
}

/// What begins a tagged call.
pub(crate) const BEGIN: &str = "<tool_call>";
/// What ends one.
pub(crate) const END: &str = "</tool_call>";

impl Style {
    /// The style that a chat template shows; none when it shows no tools, or in another way.
    pub fn of_template(source: &str) -> Option<Self> {
        if !source.contains("tools") {
            None
        } else if source.contains(BEGIN) && source.contains("arguments") && !is_xml(source) {
            Some(Self::Tagged)
        } else if source.contains("\"parameters\": ") && source.contains("ipython") {
            Some(Self::Bare)
        } else {
            None
        }
    }

    /// What the field of the arguments is called.
    pub(crate) fn arguments_field(self) -> &'static str {
        match self {
            Self::Tagged => "arguments",
            Self::Bare => "parameters",
        }
    }
}

/// Some templates put XML between the same marks.
fn is_xml(source: &str) -> bool {
    ["<function=", "<arg_key>", "<parameter="]
        .iter()
        .any(|mark| source.contains(mark))
}

impl Tool {
    /// As chat templates are given it, which is OpenAI's form.
    pub(crate) fn json(&self) -> Value {
        let nothing = || json!({"type": "object", "properties": {}});
        json!({
            "type": "function",
            "function": {
                "name": self.name,
                "description": self.description.as_deref().unwrap_or_default(),
                "parameters": self.parameters.clone().unwrap_or_else(nothing),
            },
        })
    }
}

impl ToolCall {
    /// As chat templates are given it.
    pub(crate) fn json(&self) -> Value {
        json!({
            "id": self.id,
            "type": "function",
            "function": {"name": self.name, "arguments": self.arguments},
        })
    }
}
