//! Fields of a body, read with errors that name them.

use remuda_tokens::tools;
use remuda_types::Constraint;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Path;

use crate::request::Refusal;

/// A body, which every API here wants to be an object.
pub(super) fn object(bytes: &[u8]) -> Result<Value, Refusal> {
    let body: Value =
        serde_json::from_slice(bytes).map_err(|error| Refusal::Body(error.to_string()))?;
    if body.is_object() {
        Ok(body)
    } else {
        Err(Refusal::Body("it must be an object, `{…}`".to_owned()))
    }
}

/// A part of a body.
pub(super) fn part<T: DeserializeOwned>(body: &Value) -> Result<T, Refusal> {
    serde_path_to_error::deserialize(body).map_err(|error| {
        let problem = error.inner().to_string();
        Refusal::parameter(name(error.path(), &problem), problem)
    })
}

/// Where a body is wrong. The path ends where a field is missing; only the problem names that.
fn name(path: &Path, problem: &str) -> String {
    let missing = problem
        .strip_prefix("missing field `")
        .and_then(|rest| rest.strip_suffix('`'));
    match missing {
        None => path.to_string(),
        Some(field) if path.iter().len() == 0 => field.to_owned(),
        Some(field) => format!("{path}.{field}"),
    }
}

/// A number within its bounds, or its usual value.
pub(super) fn within(
    name: &str,
    given: Option<f32>,
    otherwise: f32,
    least: f32,
    most: f32,
) -> Result<f32, Refusal> {
    let value = given.unwrap_or(otherwise);
    if (least..=most).contains(&value) {
        Ok(value)
    } else {
        let problem = format!("{name} must be between {least} and {most}, not {value}");
        Err(Refusal::parameter(name, problem))
    }
}

/// A good parameter that this gateway does not offer.
pub(super) fn unsupported(name: impl Into<String>, problem: impl Into<String>) -> Refusal {
    Refusal::Parameter {
        name: name.into(),
        problem: problem.into(),
        unsupported: true,
    }
}

/// A JSON schema that an answer is held to; some clients send it as text.
pub(super) fn schema(given: Value) -> Constraint {
    let given = match given {
        Value::String(text) => match serde_json::from_str(&text) {
            Ok(given) => given,
            Err(_) => return Constraint::Schema(text),
        },
        given => given,
    };
    Constraint::Schema(tools::schema(given).to_string())
}
