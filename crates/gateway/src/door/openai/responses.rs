//! `/v1/responses`: answers that can be kept, and gone on from.

mod body;
mod composer;
mod items;
mod object;
mod stream;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use remuda_routing::admission::keys::Key;
use serde::Deserialize;
use serde_json::{Value, json};

use self::body::Wanted;
use self::composer::Composer;
use super::{DIALECT, Shared, error};
use crate::door::answers::Answers;
use crate::door::call::{Call, Dialect, bare};
use crate::door::fields::unsupported;
use crate::door::{sse, upload};
use crate::gateway::Gateway;
use crate::kept::Kept;
use crate::request::{Ask, Refusal};

/// The routes of responses.
pub(super) fn routes() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/v1/responses", post(create))
        .route("/v1/responses/{id}", get(retrieve).delete(forget))
        .route("/v1/responses/{id}/cancel", post(cancel))
        .route("/v1/responses/{id}/input_items", get(input_items))
}

pub(super) fn check(body: &[u8]) -> Result<(), Refusal> {
    Wanted::read(body)?.ask("x", usize::MAX).map(drop)
}

fn call(gateway: Arc<Gateway>) -> Call {
    let refuse = |refusal: &Refusal, _| error::response(refusal, "input");
    Call::new(gateway, Dialect { refuse, ..DIALECT })
}

async fn create(State(gateway): Shared, headers: HeaderMap, body: Body) -> Response {
    let mut call = call(gateway);
    let answered = respond(&mut call, &headers, body).await;
    call.close(answered)
}

async fn respond(call: &mut Call, headers: &HeaderMap, body: Body) -> Result<Response, Refusal> {
    let key = call.counted_key(headers)?;
    let body = upload::read(&call.gateway, body).await?;
    let mut wanted = Wanted::read(&body)?;
    if let Some(previous) = wanted.previous.clone() {
        let kept = kept(call, &key, &previous).await;
        let kept = kept.map_err(|refusal| no_previous(refusal, &previous))?;
        wanted.go_on_from(&kept.history)?;
    }
    let (ask, frame, record) = wanted.ask(&bare(call.id), call.gateway.responses.most_bytes())?;
    let composer = Composer::new(frame.at(call.gateway.clock.now()), record);
    if composer.is_background() {
        return begin_in_background(call, &key, ask, composer).await;
    }
    let streamed = ask.streamed;
    let running = Box::pin(call.admit(&key, ask)).await?;
    if streamed {
        let script = stream::Script::new(Arc::clone(&call.gateway), key.project, composer);
        return sse::respond(&call.gateway, running.answers, script).await;
    }
    let composer = gathered(running.answers, composer).await?;
    // It is paid for: whether it can be kept or not, the client gets it. The log says why not.
    keep(&call.gateway, &key, &composer)
        .await
        .unwrap_or_default();
    Ok(Json(composer.object()).into_response())
}

/// The whole answer; until it is whole nothing of it has been delivered.
async fn gathered(answers: Answers, mut composer: Composer) -> Result<Composer, Refusal> {
    let whole = answers.whole().await?.pop().ok_or(Refusal::BrokeOff)?;
    composer.whole(whole);
    Ok(composer)
}

/// Answers at once, and goes on without the client. What cannot be kept is not begun.
async fn begin_in_background(
    call: &mut Call,
    key: &Key,
    ask: Ask,
    composer: Composer,
) -> Result<Response, Refusal> {
    let (gateway, key, id) = (Arc::clone(&call.gateway), *key, composer.id());
    let object = composer.object();
    keep(&gateway, &key, &composer).await?;
    let running = match Box::pin(call.admit(&key, ask)).await {
        Ok(running) => running,
        Err(refusal) => {
            gateway.responses.forget(key.project, id).await?;
            return Err(refusal);
        }
    };
    let cancelled = gateway.responses.begin(&id);
    call.gateway.requests.spawn(async move {
        let begun = composer.clone();
        let ended = tokio::select! {
            ended = gathered(running.answers, composer) => {
                ended.unwrap_or_else(|refusal| begun.failed(&refusal))
            }
            () = cancelled.cancelled() => begun.cancelled(),
        };
        // It counts as running until what it came to can be read. Why that failed, the log says.
        if let Some(kept) = ended.kept() {
            let updated = gateway.responses.update(key.project, id.clone(), kept);
            updated.await.unwrap_or_default();
        }
        gateway.responses.end(&id);
    });
    Ok(Json(object).into_response())
}

/// Keeps a response, if its client wants that.
async fn keep(gateway: &Gateway, key: &Key, composer: &Composer) -> Result<(), Refusal> {
    let Some(kept) = composer.kept() else {
        return Ok(());
    };
    let (id, now) = (composer.id(), gateway.clock.now());
    Ok(gateway.responses.keep(key.project, id, kept, now).await?)
}

async fn kept(call: &Call, key: &Key, id: &str) -> Result<Kept, Refusal> {
    let now = call.gateway.clock.now();
    let kept = call.gateway.responses.get(key.project, id.to_owned(), now);
    let unknown = || Refusal::UnknownResponse(id.to_owned());
    kept.await?.ok_or_else(unknown)
}

fn no_previous(refusal: Refusal, id: &str) -> Refusal {
    match refusal {
        Refusal::UnknownResponse(_) => Refusal::NoPrevious(id.to_owned()),
        other => other,
    }
}

/// The response as it stands. One that was being made when the gateway ended never will be.
async fn object(call: &Call, key: &Key, id: &str) -> Result<Value, Refusal> {
    // Asked first: one that ends meanwhile is read as it ended.
    let running = call.gateway.responses.is_running(id);
    let kept = kept(call, key, id).await?;
    let mut object: Value = serde_json::from_str(&kept.object).unwrap_or_default();
    if object["status"] == "in_progress" && !running {
        object["status"] = "failed".into();
        object["error"] = json!({
            "code": "server_error",
            "message": "the gateway was restarted while it made this response",
        });
    }
    Ok(object)
}

async fn retrieve(
    State(gateway): Shared,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let call = call(gateway);
    let found = async {
        let key = call.key(&headers)?;
        if query.is_some_and(|query| query.contains("stream=true")) {
            let problem = "a response that was made cannot be streamed again: leave `stream` out";
            return Err(unsupported("stream", problem));
        }
        Ok(Json(object(&call, &key, &id).await?).into_response())
    };
    let found = found.await;
    call.close(found)
}

async fn forget(State(gateway): Shared, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let call = call(gateway);
    let forgotten = async {
        let key = call.key(&headers)?;
        let responses = &call.gateway.responses;
        if !responses.forget(key.project, id.clone()).await? {
            return Err(Refusal::UnknownResponse(id));
        }
        responses.cancel(&id);
        let gone = json!({"id": id, "object": "response", "deleted": true});
        Ok(Json(gone).into_response())
    };
    let forgotten = forgotten.await;
    call.close(forgotten)
}

async fn cancel(State(gateway): Shared, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let call = call(gateway);
    let cancelled = async {
        let key = call.key(&headers)?;
        let mut object = object(&call, &key, &id).await?;
        if object["background"] != true {
            let problem = "only a response that was begun with `background` can be cancelled";
            return Err(Refusal::parameter("response_id", problem));
        }
        if call.gateway.responses.cancel(&id) {
            object["status"] = "cancelled".into();
        }
        Ok(Json(object).into_response())
    };
    let cancelled = cancelled.await;
    call.close(cancelled)
}

#[derive(Debug, Deserialize)]
struct Page {
    limit: Option<usize>,
    order: Option<String>,
    after: Option<String>,
}

async fn input_items(
    State(gateway): Shared,
    Path(id): Path<String>,
    page: Result<Query<Page>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let call = call(gateway);
    let listed = async {
        let key = call.key(&headers)?;
        let wrong = |error: QueryRejection| Refusal::parameter("limit", error.body_text());
        let Query(page) = page.map_err(wrong)?;
        let kept = kept(&call, &key, &id).await?;
        let items: Vec<Value> = serde_json::from_str(&kept.input).unwrap_or_default();
        Ok(Json(listed(items, &page)).into_response())
    };
    let listed = listed.await;
    call.close(listed)
}

/// A page of items; the newest first unless they are wanted otherwise.
fn listed(mut items: Vec<Value>, page: &Page) -> Value {
    if page.order.as_deref() != Some("asc") {
        items.reverse();
    }
    let after = page.after.as_deref();
    let skipped = after.and_then(|id| items.iter().position(|item| item["id"] == id));
    items.drain(..skipped.map_or(0, |at| at + 1));
    let limit = page.limit.unwrap_or(20).clamp(1, 100);
    let has_more = items.len() > limit;
    items.truncate(limit);
    let id = |item: Option<&Value>| item.map(|item| item["id"].clone());
    json!({
        "object": "list",
        "first_id": id(items.first()),
        "last_id": id(items.last()),
        "has_more": has_more,
        "data": items,
    })
}
