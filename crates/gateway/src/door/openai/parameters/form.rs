//! What the text of an answer is held to: OpenAI's `response_format`, and what vLLM's clients send for
//! the same and more.

use remuda_types::Constraint;
use remuda_types::constraint::{MAX_GRAMMAR_BYTES, TooLong, within};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::door::fields::{part, schema};
use crate::door::map_only::MapOnly;
use crate::request::{Form, Refusal};

/// The most `&` of a grammar.
const MAX_INTERSECTIONS: usize = 16;

#[derive(Debug, Deserialize)]
struct Body {
    response_format: Option<Format>,
    structured_outputs: Option<Structured>,
    guided_json: Option<Value>,
    guided_regex: Option<String>,
    guided_choice: Option<Vec<String>>,
    guided_grammar: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Format {
    Text,
    JsonObject,
    JsonSchema { json_schema: Named },
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct Named {
    schema: Option<Value>,
    #[serde(flatten)]
    _others: MapOnly,
}

/// One of these.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Structured {
    json: Option<Value>,
    regex: Option<String>,
    choice: Option<Vec<String>>,
    grammar: Option<String>,
    json_object: Option<bool>,
}

/// The form that a body asks for.
pub(super) fn form(body: &Value) -> Result<Option<Form>, Refusal> {
    let body: Body = part(body)?;
    let format = body.response_format.and_then(Format::constraint);
    let structured = body.structured_outputs.unwrap_or_default();
    let object = structured.json_object == Some(true);
    let wishes = [
        ("response_format", format),
        ("structured_outputs", structured.json.map(schema)),
        (
            "structured_outputs",
            structured.regex.map(Constraint::Regex),
        ),
        ("structured_outputs", structured.choice.map(of_choice)),
        (
            "structured_outputs",
            structured.grammar.clone().map(Constraint::Lark),
        ),
        ("structured_outputs", object.then(any_object)),
        ("guided_json", body.guided_json.map(schema)),
        ("guided_regex", body.guided_regex.map(Constraint::Regex)),
        ("guided_choice", body.guided_choice.map(of_choice)),
        (
            "guided_grammar",
            body.guided_grammar.clone().map(Constraint::Lark),
        ),
    ];
    let asked = wishes.into_iter().filter_map(|(parameter, constraint)| {
        let constraint = constraint?;
        Some(Form {
            constraint,
            parameter,
        })
    });
    let mut asked: Vec<Form> = asked.collect();
    let Some(form) = asked.pop() else {
        return Ok(None);
    };
    if !asked.is_empty() {
        let problem = "an answer can be held to one form only";
        return Err(Refusal::parameter(form.parameter, problem));
    }
    check_length(&form.constraint)
        .map_err(|error| Refusal::parameter(form.parameter, error.to_string()))?;
    if let Some(grammar) = body.guided_grammar.or(structured.grammar) {
        check_grammar(&grammar).map_err(|problem| Refusal::parameter(form.parameter, problem))?;
    }
    Ok(Some(form))
}

fn check_length(constraint: &Constraint) -> Result<(), TooLong> {
    match constraint {
        Constraint::Lark(text) => within("the grammar", text, MAX_GRAMMAR_BYTES),
        Constraint::Schema(_) | Constraint::Regex(_) => constraint.check_length(),
    }
}

/// Schemas within grammars would come past the checks of schemas, and compiling intersections takes a
/// time that nothing else bounds.
fn check_grammar(text: &str) -> Result<(), &'static str> {
    const DIRECTIVES: [&str; 5] = ["%json", "%lark", "%llguidance", "%regex", "%import"];
    if DIRECTIVES.iter().any(|directive| text.contains(directive)) {
        return Err(
            "a grammar here may not say `%json`, `%lark`, `%llguidance`, `%regex` or `%import`",
        );
    }
    if text.matches('&').count() > MAX_INTERSECTIONS {
        return Err("a grammar has 16 `&` at most");
    }
    Ok(())
}

impl Format {
    fn constraint(self) -> Option<Constraint> {
        match self {
            Self::Text => None,
            Self::JsonObject => Some(any_object()),
            Self::JsonSchema { json_schema } => {
                Some(json_schema.schema.map_or_else(any_object, schema))
            }
        }
    }
}

fn any_object() -> Constraint {
    schema(json!({"type": "object"}))
}

/// The text of a JSON string is a Lark string's, too.
fn of_choice(texts: Vec<String>) -> Constraint {
    let texts = texts.into_iter().map(|text| Value::from(text).to_string());
    let texts: Vec<String> = texts.collect();
    Constraint::Lark(format!("start: {}", texts.join(" | ")))
}
