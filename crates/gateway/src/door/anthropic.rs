//! Anthropic's API: messages and the counting of their tokens, with the bodies, events and errors that
//! its SDKs parse. Any `anthropic-version` is taken.

mod body;
mod content;
mod error;
mod message;
pub(super) mod models;
mod stream;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::json;

use self::body::Wanted;
use self::message::About;
use super::call::{Call, Dialect, bare};
use super::{sse, upload};
use crate::gateway::Gateway;
use crate::request::{self, Refusal};

type Shared = State<Arc<Gateway>>;

/// How this API refuses.
pub(super) const DIALECT: Dialect = Dialect {
    refuse: error::response,
    code: error::code,
    id_header: Some("request-id"),
};

/// The routes of this API, but for those whose paths are others', too.
pub(super) fn routes() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/v1/messages", post(messages))
        .route("/v1/messages/count_tokens", post(count_tokens))
}

pub(super) fn check_messages(body: &[u8]) -> Result<(), Refusal> {
    body::ask(body).map(drop)
}

pub(super) fn check_token_count(body: &[u8]) -> Result<(), Refusal> {
    body::counted(body).map(drop)
}

async fn messages(State(gateway): Shared, headers: HeaderMap, body: Body) -> Response {
    let mut call = Call::new(gateway, DIALECT);
    let answered = generate(&mut call, &headers, body).await;
    call.close(answered)
}

async fn generate(call: &mut Call, headers: &HeaderMap, body: Body) -> Result<Response, Refusal> {
    let key = call.counted_key(headers)?;
    let body = upload::read(&call.gateway, body).await?;
    let ask = body::ask(&body)?;
    let (model, streamed) = (ask.model.clone(), ask.streamed);
    let running = Box::pin(call.admit(&key, ask)).await?;
    let about = About {
        own: bare(call.id),
        model,
        prompt_tokens: running.prompt_tokens,
    };
    if streamed {
        let script = stream::Script::new(about, call.id);
        sse::respond(&call.gateway, running.answers, script).await
    } else {
        let whole = running.answers.whole().await?.pop();
        let message = message::whole(&about, whole.ok_or(Refusal::BrokeOff)?);
        Ok(Json(message).into_response())
    }
}

async fn count_tokens(State(gateway): Shared, headers: HeaderMap, body: Body) -> Response {
    let mut call = Call::new(gateway, DIALECT);
    let counted = count(&mut call, &headers, body).await;
    call.close(counted)
}

async fn count(call: &mut Call, headers: &HeaderMap, body: Body) -> Result<Response, Refusal> {
    let key = call.counted_key(headers)?;
    let body = upload::read(&call.gateway, body).await?;
    let Wanted {
        model,
        input,
        toolbox,
    } = body::counted(&body)?;
    let tokens =
        request::count_tokens(&call.gateway, &key, &model, input, toolbox.as_ref()).await?;
    Ok(Json(json!({"input_tokens": tokens})).into_response())
}
