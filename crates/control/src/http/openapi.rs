//! The API's own description: `OpenAPI` 3.1, and the JSON Schema of the workload spec.

use std::collections::BTreeMap;

use axum::body::Bytes;
use remuda_wire::api::problem::Problem;
use serde_json::{Map, Value, json};
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{InfoBuilder, OpenApi, OpenApiBuilder, Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

/// Both documents, as they are served.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) openapi: Bytes,
    pub(super) workload: Bytes,
}

const REFERENCE: &str = "#/components/schemas/";

const DESCRIPTION: &str = "\
Amounts are decimal strings of dollars, times integers of milliseconds since the Unix epoch, ids \
texts with a prefix that names their kind. Errors are RFC 9457 problems. POST, PATCH and DELETE \
take an `Idempotency-Key`. Lists are paged by `limit` and `cursor`.";

impl Document {
    /// Completes what the routes said of themselves.
    pub(super) fn new(routes: OpenApi) -> Self {
        let mut openapi = OpenApiBuilder::new()
            .info(
                InfoBuilder::new()
                    .title("Remuda")
                    .version(env!("CARGO_PKG_VERSION"))
                    .description(Some(DESCRIPTION))
                    .build(),
            )
            .build();
        openapi.merge(routes);
        complete(&mut openapi);
        let openapi = serde_json::to_value(openapi).unwrap_or_default();
        Self {
            workload: bytes(&schema_of(&openapi, "WorkloadSpec")),
            openapi: bytes(&openapi),
        }
    }
}

fn bytes(value: &Value) -> Bytes {
    serde_json::to_vec_pretty(value).unwrap_or_default().into()
}

/// The key that requests carry, and the problem that any of them may be answered with.
fn complete(openapi: &mut OpenApi) {
    let components = openapi.components.get_or_insert_default();
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(
            "An API key: `rk_…`. Each operation says which scope it needs.",
        ));
    components.add_security_scheme("key", SecurityScheme::Http(scheme.build()));
    let mut schemas = Vec::new();
    Problem::schemas(&mut schemas);
    schemas.push(("Problem".to_owned(), Problem::schema()));
    components.schemas.extend(schemas);
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .build();
    let problem = ResponseBuilder::new()
        .description("Why it was not done")
        .content("application/problem+json", content)
        .build();
    for item in openapi.paths.paths.values_mut() {
        let operations = [
            &mut item.get,
            &mut item.post,
            &mut item.patch,
            &mut item.delete,
        ];
        for operation in operations.into_iter().flatten() {
            let responses = &mut operation.responses.responses;
            responses.insert("default".to_owned(), RefOr::T(problem.clone()));
        }
    }
}

/// One schema with all it refers to, as a JSON Schema document of its own.
fn schema_of(openapi: &Value, name: &str) -> Value {
    let schemas = &openapi["components"]["schemas"];
    let mut definitions = BTreeMap::new();
    let mut wanted = references(&schemas[name]);
    while let Some(next) = wanted.pop() {
        if !definitions.contains_key(&next) {
            wanted.extend(references(&schemas[&next]));
            definitions.insert(next.clone(), local(&schemas[&next]));
        }
    }
    let mut schema = Map::new();
    schema.insert(
        "$schema".to_owned(),
        json!("https://json-schema.org/draft/2020-12/schema"),
    );
    schema.insert("title".to_owned(), json!(name));
    if let Value::Object(fields) = local(&schemas[name]) {
        schema.extend(fields);
    }
    schema.insert("$defs".to_owned(), json!(definitions));
    Value::Object(schema)
}

fn references(schema: &Value) -> Vec<String> {
    match schema {
        Value::Object(fields) => {
            let own = fields.get("$ref").and_then(Value::as_str);
            let own = own
                .and_then(|to| to.strip_prefix(REFERENCE))
                .map(str::to_owned);
            own.into_iter()
                .chain(fields.values().flat_map(references))
                .collect()
        }
        Value::Array(items) => items.iter().flat_map(references).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

/// The schema with its references pointing into its own document.
fn local(schema: &Value) -> Value {
    match schema {
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(key, value)| (key.clone(), local(value)));
            Value::Object(fields.collect())
        }
        Value::Array(items) => items.iter().map(local).collect(),
        Value::String(text) => match text.strip_prefix(REFERENCE) {
            Some(name) => json!(format!("#/$defs/{name}")),
            None => json!(text),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) => schema.clone(),
    }
}
