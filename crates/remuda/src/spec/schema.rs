//! The spec's JSON Schema (draft 2020-12), from the types themselves.

use remuda_wire::api::WorkloadSpec;
use serde_json::{Map, Value, json};
use utoipa::{PartialSchema, ToSchema};

/// Where a schema of `OpenAPI` refers to another.
const OPENAPI: &str = "#/components/schemas/";
/// Where one of a document of its own does.
const OWN: &str = "#/$defs/";

/// The whole document.
pub(crate) fn schema() -> Value {
    let mut named = Vec::new();
    WorkloadSpec::schemas(&mut named);
    let definitions: Map<String, Value> = named
        .into_iter()
        .map(|(name, schema)| (name, own(json!(schema))))
        .collect();
    let mut document = Map::from_iter([
        (
            "$schema".to_owned(),
            json!("https://json-schema.org/draft/2020-12/schema"),
        ),
        ("title".to_owned(), json!("WorkloadSpec")),
    ]);
    if let Value::Object(fields) = own(json!(WorkloadSpec::schema())) {
        document.extend(fields);
    }
    document.insert("$defs".to_owned(), Value::Object(definitions));
    Value::Object(document)
}

fn own(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .map(|(key, value)| (key, own(value)))
            .collect(),
        Value::Array(items) => items.into_iter().map(own).collect(),
        Value::String(text) => Value::String(text.replace(OPENAPI, OWN)),
        Value::Null | Value::Bool(_) | Value::Number(_) => value,
    }
}
