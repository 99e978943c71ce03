//! The HTTP listeners: OpenAI's API for clients, and what operators look at.

mod advice;
mod answers;
mod anthropic;
mod both;
mod call;
mod connections;
mod fields;
mod map_only;
mod openai;
mod sse;
mod toolbox;
mod upload;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tower_http::cors::{AllowHeaders, Any, CorsLayer};

use crate::gateway::Gateway;
use crate::request::Refusal;

/// How long a browser need not ask again whether it may ask.
const PREFLIGHT_HOLDS: Duration = Duration::from_hours(2);

/// Serves clients until the gateway stops.
pub(crate) async fn serve(listener: TcpListener, gateway: Arc<Gateway>) {
    let apis = both::routes()
        .merge(openai::routes())
        .merge(anthropic::routes());
    let router = both::with_fallbacks(apis)
        .route("/health", get(|| async { "ok\n" }))
        .route("/ready", get(ready))
        .with_state(Arc::clone(&gateway));
    connections::serve(listener, router.layer(browsers()), &gateway).await;
}

/// Pages of any origin may ask, for what counts is the key, which no browser sends by itself.
fn browsers() -> CorsLayer {
    const SHOWN: [&str; 6] = [
        "x-request-id",
        "request-id",
        "retry-after",
        "retry-after-ms",
        "x-should-retry",
        "x-ratelimit-remaining-requests",
    ];
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(SHOWN.map(HeaderName::from_static))
        .max_age(PREFLIGHT_HOLDS)
}

/// Serves operators until the gateway stops.
pub(crate) async fn serve_operators(listener: TcpListener, gateway: Arc<Gateway>) {
    let router = Router::new()
        .route("/metrics", get(metrics))
        .with_state(Arc::clone(&gateway));
    connections::serve(listener, router, &gateway).await;
}

/// The bodies that clients send.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub enum BodyOf {
    Chat,
    Completions,
    Responses,
    Messages,
    TokenCount,
}

/// Whether a door would take a body, and else why not: for those who try its readers with anything.
#[doc(hidden)]
pub fn check_body(door: BodyOf, body: &[u8]) -> Result<(), String> {
    let read: Result<(), Refusal> = match door {
        BodyOf::Chat => openai::check_chat(body),
        BodyOf::Completions => openai::check_completions(body),
        BodyOf::Responses => openai::check_responses(body),
        BodyOf::Messages => anthropic::check_messages(body),
        BodyOf::TokenCount => anthropic::check_token_count(body),
    };
    read.map_err(|refusal| refusal.to_string())
}

/// Whether a balancer in front should send requests here: there is a route table, reservations can
/// be made durable, and the gateway is not stopping. Control need not be up.
async fn ready(State(gateway): State<Arc<Gateway>>) -> Response {
    let not_yet = |why: &'static str| (StatusCode::SERVICE_UNAVAILABLE, why).into_response();
    if !gateway.is_open() {
        not_yet("stopping\n")
    } else if !gateway.spool.is_sound() {
        not_yet("the spool cannot be written\n")
    } else if gateway.table.view().routes.epoch == 0 {
        not_yet("no route table yet\n")
    } else {
        "ready\n".into_response()
    }
}

async fn metrics(State(gateway): State<Arc<Gateway>>) -> Response {
    let now = gateway.clock.now();
    let (waiting, purses) = (gateway.fleet.waiting(), gateway.treasury.levels(now));
    gateway
        .metrics
        .levels(waiting, purses, gateway.control.is_up());
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], gateway.metrics.text()).into_response()
}
