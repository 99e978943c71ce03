//! OpenAI's API, with the bodies and errors that its SDKs parse.

mod answer;
mod body;
mod chat;
mod completions;
mod error;
mod logprobs;
pub(super) mod models;
mod parameters;
mod responses;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::post;

use self::body::{About, Door};
use self::parameters::Wanted;
use super::call::{Call, Dialect, bare};
use super::{sse, upload};
use crate::gateway::Gateway;
use crate::request::Refusal;

type Shared = State<Arc<Gateway>>;

/// How this API refuses; `param` is that of chat completions.
pub(super) const DIALECT: Dialect = Dialect {
    refuse: |refusal, _| error::response(refusal, "messages"),
    code: error::code,
    id_header: None,
};

/// The routes of this API, but for those whose paths are others', too.
pub(super) fn routes() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/v1/chat/completions", post(chat_completions))
        .route("/v1/completions", post(completions))
        .merge(responses::routes())
}

pub(super) fn check_chat(body: &[u8]) -> Result<(), Refusal> {
    parameters::read(body, Door::Chat).map(drop)
}

pub(super) fn check_completions(body: &[u8]) -> Result<(), Refusal> {
    parameters::read(body, Door::Completions).map(drop)
}

pub(super) fn check_responses(body: &[u8]) -> Result<(), Refusal> {
    responses::check(body)
}

async fn chat_completions(State(gateway): Shared, headers: HeaderMap, body: Body) -> Response {
    let mut call = Call::new(gateway, DIALECT);
    let answered = generate(&mut call, &headers, body, Door::Chat).await;
    call.close(answered)
}

async fn completions(State(gateway): Shared, headers: HeaderMap, body: Body) -> Response {
    let refuse = |refusal: &Refusal, _| error::response(refusal, "prompt");
    let mut call = Call::new(gateway, Dialect { refuse, ..DIALECT });
    let answered = generate(&mut call, &headers, body, Door::Completions).await;
    call.close(answered)
}

async fn generate(
    call: &mut Call,
    headers: &HeaderMap,
    body: Body,
    door: Door,
) -> Result<Response, Refusal> {
    let key = call.counted_key(headers)?;
    let body = upload::read(&call.gateway, body).await?;
    let Wanted { ask, include_usage } = parameters::read(&body, door)?;
    let (model, each, streamed) = (ask.model.clone(), ask.each, ask.streamed);
    let running = Box::pin(call.admit(&key, ask)).await?;
    let about = About {
        own: bare(call.id),
        door,
        model,
        created: running.at.as_millis() / 1_000,
        each,
    };
    if !streamed {
        return answer::respond(&about, running.answers).await;
    }
    let answers = running.answers;
    match door {
        Door::Chat => {
            let script = chat::stream::Script::new(about, answers.len(), include_usage);
            sse::respond(&call.gateway, answers, script).await
        }
        Door::Completions => {
            let script = completions::stream::Script::new(about, answers.len(), include_usage);
            sse::respond(&call.gateway, answers, script).await
        }
    }
}
