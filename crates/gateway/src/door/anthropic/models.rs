//! Models in Anthropic's words.

use axum::Json;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use remuda_wire::gateway::ModelRoute;
use serde::Serialize;

#[derive(Debug, Serialize)]
struct Model<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: &'a str,
    display_name: &'a str,
    /// RFC 3339.
    created_at: String,
    lifecycle: &'static str,
    max_input_tokens: u32,
    max_tokens: u32,
}

#[derive(Debug, Serialize)]
struct List<'a> {
    data: Vec<Model<'a>>,
    has_more: bool,
    first_id: Option<&'a str>,
    last_id: Option<&'a str>,
}

fn model(route: &ModelRoute) -> Model<'_> {
    let millis = i64::try_from(route.created.as_millis()).unwrap_or(i64::MAX);
    Model {
        kind: "model",
        id: &route.name,
        display_name: &route.name,
        created_at: Timestamp::from_millisecond(millis)
            .unwrap_or(Timestamp::MAX)
            .to_string(),
        lifecycle: "active",
        max_input_tokens: route.context_tokens,
        max_tokens: route.context_tokens,
    }
}

pub(in crate::door) fn list<'a>(routes: impl Iterator<Item = &'a ModelRoute>) -> Response {
    let data: Vec<_> = routes.map(model).collect();
    let list = List {
        has_more: false,
        first_id: data.first().map(|first| first.id),
        last_id: data.last().map(|last| last.id),
        data,
    };
    Json(list).into_response()
}

pub(in crate::door) fn one(route: &ModelRoute) -> Response {
    Json(model(route)).into_response()
}
