//! Models in OpenAI's words.

use axum::Json;
use axum::response::{IntoResponse, Response};
use remuda_wire::gateway::ModelRoute;
use serde::Serialize;

#[derive(Debug, Serialize)]
struct Model {
    id: String,
    object: &'static str,
    created: u64,
    owned_by: String,
}

#[derive(Debug, Serialize)]
struct List {
    object: &'static str,
    data: Vec<Model>,
}

fn model(route: &ModelRoute) -> Model {
    Model {
        id: route.name.clone(),
        object: "model",
        created: route.created.as_millis() / 1_000,
        owned_by: route.project.to_string(),
    }
}

pub(in crate::door) fn list<'a>(routes: impl Iterator<Item = &'a ModelRoute>) -> Response {
    let list = List {
        object: "list",
        data: routes.map(model).collect(),
    };
    Json(list).into_response()
}

pub(in crate::door) fn one(route: &ModelRoute) -> Response {
    Json(model(route)).into_response()
}
