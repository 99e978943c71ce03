//! OpenAI's API: chat completions, completions and models, with the bodies and errors that its SDKs
//! parse.

mod answer;
mod body;
mod chat;
mod completions;
mod error;
mod event_stream;
mod map_only;
mod models;
mod parameters;
mod upload;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, Uri, header};
use axum::response::Response;
use axum::routing::{get, post};
use remuda_routing::Denied;
use remuda_routing::admission::keys::Key;
use remuda_routing::admission::rate::Allowance;
use remuda_types::{RequestId, WorkloadId};

use self::body::{About, Door};
use crate::gateway::Gateway;
use crate::request::{self, Refusal};
use parameters::Wanted;

type Shared = State<Arc<Gateway>>;

/// The routes of this API.
pub(super) fn routes() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/v1/chat/completions", post(chat_completions))
        .route("/v1/completions", post(completions))
        .route("/v1/models", get(models::list))
        .route("/v1/models/{model}", get(models::one))
        .fallback(nowhere)
        .method_not_allowed_fallback(no_method)
}

async fn chat_completions(State(gateway): Shared, headers: HeaderMap, body: Body) -> Response {
    generate(&gateway, &headers, body, Door::Chat).await
}

async fn completions(State(gateway): Shared, headers: HeaderMap, body: Body) -> Response {
    generate(&gateway, &headers, body, Door::Completions).await
}

async fn nowhere(uri: Uri) -> Response {
    error::response(&Refusal::NoPath(uri.path().to_owned()), Door::Chat)
}

async fn no_method(method: Method) -> Response {
    error::response(&Refusal::NoMethod(method.to_string()), Door::Chat)
}

/// What is known of a request when its answer goes out, however it ended.
#[derive(Default)]
struct Trail {
    allowance: Option<Allowance>,
    workload: Option<WorkloadId>,
}

impl Trail {
    /// Who asks too often is told the limit as well.
    fn refused(&mut self, refusal: &Refusal) {
        if let Refusal::Denied(Denied::Rate(often)) = refusal {
            self.allowance = Some(Allowance {
                limit: often.limit,
                remaining: 0,
                reset_after: often.reset_after,
            });
        }
    }
}

async fn generate(gateway: &Arc<Gateway>, headers: &HeaderMap, body: Body, door: Door) -> Response {
    let id = gateway.request_id();
    let mut trail = Trail::default();
    let answered = Box::pin(answer(gateway, id, headers, body, door, &mut trail)).await;
    let mut response = answered.unwrap_or_else(|refusal| {
        // The text may repeat what the tenant sent; the code never does.
        tracing::debug!(request = %id, code = error::code(&refusal), "refused");
        trail.refused(&refusal);
        error::response(&refusal, door)
    });
    gateway
        .metrics
        .request(trail.workload, response.status().as_u16());
    mark(response.headers_mut(), id, trail.allowance);
    response
}

async fn answer(
    gateway: &Arc<Gateway>,
    id: RequestId,
    headers: &HeaderMap,
    body: Body,
    door: Door,
    trail: &mut Trail,
) -> Result<Response, Refusal> {
    let key = caller(gateway, headers)?;
    trail.allowance = request::limit(gateway, &key)?;
    let Wanted { ask, include_usage } =
        parameters::read(&upload::read(gateway, body).await?, door)?;
    let (model, streamed) = (ask.model.clone(), ask.streamed);
    let started = request::admit(gateway, id, &key, ask).await?;
    trail.workload = Some(started.workload);
    let about = About {
        id,
        door,
        model,
        created: started.at.as_millis() / 1_000,
    };
    if streamed {
        event_stream::respond(gateway, about, started.inbox, include_usage).await
    } else {
        answer::respond(&about, started.inbox).await
    }
}

/// Whose key was sent.
fn caller(gateway: &Gateway, headers: &HeaderMap) -> Result<Key, Refusal> {
    let sent = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let (scheme, secret) = sent
        .and_then(|sent| sent.split_once(' '))
        .ok_or(Refusal::NoKey)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Refusal::NoKey);
    }
    request::authorize(gateway, secret.trim())
}

/// Headers that every answer has.
fn mark(headers: &mut HeaderMap, id: RequestId, allowance: Option<Allowance>) {
    let mut put = |name: &'static str, value: String| {
        // Ids and numbers are valid in headers.
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    };
    put("x-request-id", id.to_string());
    if let Some(allowance) = allowance {
        put("x-ratelimit-limit-requests", allowance.limit.to_string());
        put(
            "x-ratelimit-remaining-requests",
            allowance.remaining.to_string(),
        );
        put(
            "x-ratelimit-reset-requests",
            format!("{}ms", allowance.reset_after.as_millis()),
        );
    }
}
