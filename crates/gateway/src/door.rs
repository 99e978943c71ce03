//! The HTTP listener: OpenAI's API, and what operators look at.

mod openai;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;

use crate::gateway::Gateway;

/// Serves until the gateway stops.
pub(crate) async fn serve(listener: TcpListener, gateway: Arc<Gateway>) {
    let stop = gateway.stop.clone();
    let router = router(gateway);
    // Tokens are small and must not wait for each other.
    let listener = listener.tap_io(|tcp| {
        if let Err(error) = tcp.set_nodelay(true) {
            tracing::debug!(%error, "a connection will delay small writes");
        }
    });
    let serving = axum::serve(listener, router);
    if let Err(error) = serving.with_graceful_shutdown(stop.cancelled_owned()).await {
        tracing::error!(%error, "the HTTP listener failed");
    }
}

fn router(gateway: Arc<Gateway>) -> Router {
    let limit = gateway.config.limits.body_bytes;
    Router::new()
        .merge(openai::routes())
        .route("/health", get(|| async { "ok\n" }))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .layer(DefaultBodyLimit::max(limit))
        .with_state(gateway)
}

/// Whether a balancer in front should send requests here: there is a route table, and the gateway
/// is not stopping. Control need not be up.
async fn ready(State(gateway): State<Arc<Gateway>>) -> Response {
    if !gateway.is_open() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response();
    }
    if gateway.table.view().routes.epoch == 0 {
        return (StatusCode::SERVICE_UNAVAILABLE, "no route table yet\n").into_response();
    }
    "ready\n".into_response()
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
