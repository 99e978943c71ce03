//! `/v1/models`: the models of the key's project.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use remuda_wire::gateway::ModelRoute;
use serde::Serialize;

use super::body::Door;
use super::{Shared, caller, error, mark};
use crate::gateway::Gateway;
use crate::request::Refusal;

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

pub(super) async fn list(State(gateway): Shared, headers: HeaderMap) -> Response {
    let list = caller(&gateway, &headers).map(|key| {
        let view = gateway.table.view();
        let data = view.models_of(key.project).map(model).collect();
        Json(List {
            object: "list",
            data,
        })
        .into_response()
    });
    respond(&gateway, list)
}

pub(super) async fn one(
    State(gateway): Shared,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response {
    let one = caller(&gateway, &headers).and_then(|key| {
        let view = gateway.table.view();
        let found = view.model(key.project, &name).map(model);
        found
            .map(|model| Json(model).into_response())
            .ok_or(Refusal::UnknownModel(name))
    });
    respond(&gateway, one)
}

fn respond(gateway: &Gateway, found: Result<Response, Refusal>) -> Response {
    let mut response = found.unwrap_or_else(|refusal| error::response(&refusal, Door::Chat));
    mark(response.headers_mut(), gateway.request_id(), None);
    response
}
