//! `/metrics` and `/health`, for the machine's owner.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::inventory::nvidia::Gpus;
use crate::metrics::Metrics;
use crate::view::View;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the pages show.
#[derive(Clone, Debug)]
pub(crate) struct Pages {
    /// Counters and gauges.
    pub metrics: Arc<Metrics>,
    /// The node.
    pub view: watch::Receiver<Arc<View>>,
    /// The GPUs, if there are any.
    pub gpus: Option<Arc<Gpus>>,
}

/// Serves the pages until `stop`.
pub(crate) async fn serve(listener: TcpListener, pages: Pages, stop: CancellationToken) {
    let routes = Router::new()
        .route("/metrics", get(metrics))
        .route("/health", get(|| async { "ok\n" }))
        .with_state(pages);
    let served = axum::serve(listener, routes).with_graceful_shutdown(stop.cancelled_owned());
    if let Err(error) = served.await {
        tracing::error!(%error, "metrics are not served any more");
    }
}

async fn metrics(State(pages): State<Pages>) -> impl IntoResponse {
    let view = Arc::clone(&pages.view.borrow());
    // The driver's library may take its time.
    let scraped = tokio::task::spawn_blocking(move || {
        pages
            .metrics
            .scrape(&view, pages.gpus.as_deref())
            .map_err(|error| error.to_string())
    });
    match scraped.await.map_err(|error| error.to_string()).flatten() {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error).into_response(),
    }
}
