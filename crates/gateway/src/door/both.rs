//! What both APIs have at the same paths: models, and paths where there is nothing. Clients of
//! Anthropic's say so by their version header.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, Uri};
use axum::response::Response;
use axum::routing::get;

use super::call::{Call, Dialect};
use super::{anthropic, openai};
use crate::gateway::Gateway;
use crate::request::Refusal;

type Shared = State<Arc<Gateway>>;

pub(super) fn routes() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/v1/models", get(list))
        .route("/v1/models/{model}", get(one))
}

/// Answers what no route does; for when all routes are there.
pub(super) fn with_fallbacks(routes: Router<Arc<Gateway>>) -> Router<Arc<Gateway>> {
    routes
        .fallback(nowhere)
        .method_not_allowed_fallback(no_method)
}

fn is_anthropic(headers: &HeaderMap) -> bool {
    headers.contains_key("anthropic-version")
}

fn dialect(headers: &HeaderMap) -> Dialect {
    if is_anthropic(headers) {
        anthropic::DIALECT
    } else {
        openai::DIALECT
    }
}

async fn list(State(gateway): Shared, headers: HeaderMap) -> Response {
    let call = Call::new(gateway, dialect(&headers));
    let list = call.key(&headers).map(|key| {
        let view = call.gateway.table.view();
        let models = view.models_of(key.project);
        if is_anthropic(&headers) {
            anthropic::models::list(models)
        } else {
            openai::models::list(models)
        }
    });
    call.close(list)
}

async fn one(State(gateway): Shared, Path(name): Path<String>, headers: HeaderMap) -> Response {
    let call = Call::new(gateway, dialect(&headers));
    let one = call.key(&headers).and_then(|key| {
        let view = call.gateway.table.view();
        let unknown = || Refusal::UnknownModel(name.clone());
        let model = view.model(key.project, &name).ok_or_else(unknown)?;
        Ok(if is_anthropic(&headers) {
            anthropic::models::one(model)
        } else {
            openai::models::one(model)
        })
    });
    call.close(one)
}

async fn nowhere(State(gateway): Shared, headers: HeaderMap, uri: Uri) -> Response {
    let refusal = Refusal::NoPath(uri.path().to_owned());
    Call::new(gateway, dialect(&headers)).close(Err(refusal))
}

async fn no_method(State(gateway): Shared, headers: HeaderMap, method: Method) -> Response {
    let refusal = Refusal::NoMethod(method.to_string());
    Call::new(gateway, dialect(&headers)).close(Err(refusal))
}
