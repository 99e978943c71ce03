//! What the output of a model with tools is held to: calls are always whole and name a tool that there
//! is, with arguments of its schema.

use std::fmt::Write as _;

use remuda_types::Constraint;
use serde_json::{Value, json};

use super::{BEGIN, END, Style, Tool};

/// What the model has to do with its tools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// It may call.
    Auto,
    /// It must call one at least.
    Required,
    /// It must call this one.
    Named(String),
}

/// A form for the text beside tools that need not be called, which cannot be told from calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mixed {
    /// A grammar or an expression.
    #[error("a grammar or a regular expression cannot be combined with tools: use a JSON schema")]
    Language,
    /// A schema, where calls are JSON and nothing else.
    #[error(
        "this model cannot be held to a JSON schema while it may call tools: leave one of them out"
    )]
    BareJson,
}

/// A JSON schema as constraints are given it: on one line, as models write JSON, and with `oneOf` taken
/// as `anyOf` where the two cannot be told apart.
///
/// Room for blanks would let a weak model write blanks for ever.
pub fn schema(mut schema: Value) -> Value {
    if let Some(fields) = schema.as_object_mut() {
        let options = json!({
            "whitespace_flexible": false,
            "item_separator": ", ",
            "key_separator": ": ",
            "coerce_one_of": true,
        });
        fields.entry("x-guidance").or_insert(options);
    }
    schema
}

/// What the whole output is held to. `answer` is what its text is held to where it calls nothing.
pub fn constraint(
    style: Style,
    tools: &[Tool],
    choice: &Choice,
    parallel: bool,
    answer: Option<&Constraint>,
) -> Result<Constraint, Mixed> {
    // Bare calls are one at a time: the templates of such models refuse more.
    let parallel = parallel && style == Style::Tagged;
    let mut lark = String::new();
    let calls = if parallel {
        "call (next call)*"
    } else {
        "call"
    };
    let start = match (choice, answer) {
        (Choice::Required | Choice::Named(_), _) => calls.to_owned(),
        (Choice::Auto, Some(Constraint::Schema(_))) if style == Style::Bare => {
            return Err(Mixed::BareJson);
        }
        (Choice::Auto, Some(Constraint::Schema(schema))) => {
            line(&mut lark, &format!("answer: %json {schema}"));
            format!("answer | {calls}")
        }
        (Choice::Auto, Some(Constraint::Lark(_) | Constraint::Regex(_))) => {
            return Err(Mixed::Language);
        }
        (Choice::Auto, None) => free(style, parallel, &mut lark),
    };
    line(&mut lark, &format!("start: {start}"));
    line(&mut lark, "TEXT: /(.|\\n)*/");
    bodies(style, tools, choice, &mut lark);
    Ok(Constraint::Lark(lark))
}

/// Text with calls in it, or the other way round.
fn free(style: Style, parallel: bool, lark: &mut String) -> String {
    match style {
        Style::Tagged => {
            // The shortest text that ends in what begins a call: from there on it is one.
            line(lark, &format!("lead[lazy]: /(.|\\n)*{BEGIN}/"));
            if parallel {
                "(lead rest)* TEXT".to_owned()
            } else {
                "TEXT | lead rest".to_owned()
            }
        }
        Style::Bare => {
            line(lark, "PROSE: /[^\\s{](.|\\n)*/");
            "PROSE | call".to_owned()
        }
    }
}

/// The rules `call`, `rest` and `next`, and one for each tool.
fn bodies(style: Style, tools: &[Tool], choice: &Choice, lark: &mut String) {
    let wanted = |tool: &&Tool| match choice {
        Choice::Named(name) => *name == tool.name,
        Choice::Auto | Choice::Required => true,
    };
    let mut names = Vec::new();
    for (place, tool) in tools.iter().filter(wanted).enumerate() {
        let head = format!(
            "{{\"name\": \"{}\", \"{}\": ",
            tool.name,
            style.arguments_field()
        );
        // The text of a JSON string is a Lark string's, too.
        let head = Value::from(head);
        line(lark, &format!("tool{place}: {head} args{place} \"}}\""));
        line(lark, &format!("args{place}: %json {}", arguments(tool)));
        names.push(format!("tool{place}"));
    }
    let any = names.join(" | ");
    match style {
        Style::Tagged => {
            line(lark, &format!("rest: \"\\n\" ({any}) \"\\n{END}\""));
            line(lark, &format!("call: \"{BEGIN}\" rest"));
            line(lark, "next: \"\\n\"");
        }
        Style::Bare => {
            line(lark, &format!("call: {any}"));
            line(lark, "next: \"; \"");
        }
    }
}

/// The schema that the arguments of calls of this tool are held to.
pub fn arguments(tool: &Tool) -> Value {
    let mut parameters = match &tool.parameters {
        Some(Value::Object(fields)) => Value::Object(fields.clone()),
        Some(_) | None => {
            json!({"type": "object", "properties": {}, "additionalProperties": false})
        }
    };
    if let Some(fields) = parameters.as_object_mut() {
        fields.entry("type").or_insert("object".into());
    }
    schema(parameters)
}

fn line(lark: &mut String, text: &str) {
    // Writing to a String has no error.
    writeln!(lark, "{text}").unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Constraints;
    use crate::constraint::Error;

    fn tools() -> Vec<Tool> {
        let look = json!({
            "type": "object",
            "properties": {"at": {"$ref": "#/$defs/place"}},
            "required": ["at"],
            "additionalProperties": false,
            "$defs": {"place": {"type": "string", "enum": ["left", "right"]}},
        });
        let tool = |name: &str, parameters| Tool {
            name: name.to_owned(),
            description: None,
            parameters,
            strict: true,
        };
        vec![tool("look", Some(look)), tool("wait", None)]
    }

    /// The byte at which an output strays, if it does, and whether it may end after its last byte.
    fn judge(constraint: &Constraint, output: &str) -> Result<bool, usize> {
        let bytes: Vec<u32> = output.bytes().map(u32::from).collect();
        match Constraints::of_bytes().compile(constraint, &bytes) {
            Ok(mut follower) => Ok(follower.may_end()),
            Err(Error::Strayed { index }) => Err(index),
            Err(other) => panic!("{other}\n{constraint:?}"),
        }
    }

    fn held(style: Style, choice: &Choice, parallel: bool) -> Constraint {
        constraint(style, &tools(), choice, parallel, None).unwrap()
    }

    const LOOK: &str =
        "<tool_call>\n{\"name\": \"look\", \"arguments\": {\"at\": \"left\"}}\n</tool_call>";
    const WAIT: &str = "<tool_call>\n{\"name\": \"wait\", \"arguments\": {}}\n</tool_call>";

    #[test]
    fn tagged_calls_may_stand_in_text() {
        let held = held(Style::Tagged, &Choice::Auto, true);
        for output in ["", "Hello.", LOOK, &format!("I see.\n{LOOK}\n{WAIT}")] {
            assert_eq!(judge(&held, output), Ok(true), "{output}");
        }
        let unknown = "<tool_call>\n{\"name\": \"jump\"";
        assert_eq!(judge(&held, unknown), Err(unknown.len() - 5));
        let wrong = LOOK.replace("left", "up");
        assert!(judge(&held, &wrong).is_err());
        assert_eq!(
            judge(&held, "<tool_call>\n{"),
            Ok(false),
            "a call is whole or not there"
        );
    }

    #[test]
    fn one_call_is_one_call() {
        let held = held(Style::Tagged, &Choice::Auto, false);
        for output in ["Hello.", LOOK, &format!("I see.\n{LOOK}")] {
            assert_eq!(judge(&held, output), Ok(true), "{output}");
        }
        let second = format!("{LOOK}\n<tool_call>\n{{\"name\": \"rm\"");
        assert!(judge(&held, &second).is_err());
    }

    #[test]
    fn who_must_call_says_nothing_else() {
        let required = held(Style::Tagged, &Choice::Required, false);
        assert_eq!(judge(&required, LOOK), Ok(true));
        assert_eq!(judge(&required, "Hello"), Err(0));
        assert_eq!(
            judge(&required, &format!("{LOOK}\n{WAIT}")),
            Err(LOOK.len())
        );
        let named = held(Style::Tagged, &Choice::Named("wait".to_owned()), true);
        assert_eq!(judge(&named, WAIT), Ok(true));
        assert!(judge(&named, LOOK).is_err());
    }

    #[test]
    fn bare_calls_are_all_or_nothing() {
        let held = held(Style::Bare, &Choice::Auto, true);
        let call = "{\"name\": \"look\", \"parameters\": {\"at\": \"right\"}}";
        assert_eq!(judge(&held, call), Ok(true));
        assert!(judge(&held, &format!("{call}; {call}")).is_err());
        assert_eq!(judge(&held, "Hello {"), Ok(true));
        assert!(judge(&held, "{\"other\"").is_err());
    }

    #[test]
    fn an_answer_may_be_held_to_a_schema_beside_tools() {
        let number = Constraint::Schema(schema(json!({"type": "integer"})).to_string());
        let both = constraint(Style::Tagged, &tools(), &Choice::Auto, true, Some(&number)).unwrap();
        assert_eq!(judge(&both, "42"), Ok(true));
        assert_eq!(judge(&both, WAIT), Ok(true));
        assert_eq!(judge(&both, "forty"), Err(0));
        let regex = Constraint::Regex("a".to_owned());
        let refused = constraint(Style::Tagged, &tools(), &Choice::Auto, true, Some(&regex));
        assert_eq!(refused, Err(Mixed::Language));
        let refused = constraint(Style::Bare, &tools(), &Choice::Auto, true, Some(&number));
        assert_eq!(refused, Err(Mixed::BareJson));
    }
}
