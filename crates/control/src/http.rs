//! The HTTP API: `/v1`, described by `OpenAPI` 3.1, errors as RFC 9457 says.
//!
//! A request passes, from outside in: the [`door`] (connections, their number and patience), the
//! [`envelope`] (request id, span, metrics, problems made
//! readable, panics caught), [`auth`] (the key, its rate limit), [`once`] (an `Idempotency-Key`'s
//! answer given again), [`query`] (parameters that nobody knows refused) and its handler. Handlers that read take what they show from the follower's
//! state; handlers that change something make one command and answer with the thing it changed,
//! read back ([`act`]). One file per resource. What does not belong here: decisions.

use std::future::{Future, IntoFuture};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::DefaultBodyLimit;
use axum::{Extension, Router, middleware};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;

use crate::core::Core;
use crate::metrics::Metrics;
use crate::projection::Projections;
use crate::session::Sessions;

mod act;
mod auth;
mod body;
mod door;
mod envelope;
mod events;
pub mod keys;
pub mod labels;
mod leases;
mod ledger;
mod limit;
mod models;
mod network;
mod nodes;
mod once;
mod openapi;
mod page;
mod problem;
mod providers;
mod query;
mod sites;
mod tenants;
mod thing;
mod workloads;

/// The largest body of a request.
const BODY_BYTES_MAX: usize = 1 << 20;

/// How long requests in flight may take once control is stopping.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// What the API stands on.
#[derive(Clone, Debug)]
pub struct App {
    /// Commands and reads.
    pub core: Core,
    /// Statements and events.
    pub projections: Projections,
    /// Nodes and gateways that are connected.
    pub sessions: Sessions,
}

/// What every handler gets. Cheap to clone.
#[derive(Clone, Debug)]
struct Api(Arc<Inside>);

#[derive(Debug)]
struct Inside {
    app: App,
    metrics: Metrics,
    limits: limit::Limits,
    streams: limit::Streams,
    answers: once::Answers,
    document: openapi::Document,
    known: query::Known,
    tasks: TaskTracker,
}

/// Cancelled when streams are to end.
#[derive(Clone, Debug, Default)]
struct Stopping(CancellationToken);

impl std::ops::Deref for Api {
    type Target = Inside;

    fn deref(&self) -> &Inside {
        &self.0
    }
}

/// The API's router, which also counts into and serves `metrics`.
pub fn router(app: App, metrics: Metrics) -> Router {
    let (private, mut document) = private_routes().split_for_parts();
    let (public, of_public) = public_routes().split_for_parts();
    document.merge(of_public);
    let answers = once::Answers::new(app.core.config().data_dir.clone());
    let api = Api(Arc::new(Inside {
        app,
        metrics,
        limits: limit::Limits::default(),
        streams: limit::Streams::default(),
        answers,
        known: query::Known::of(&document),
        document: openapi::Document::new(document),
        tasks: TaskTracker::new(),
    }));
    let private = private
        .route_layer(middleware::from_fn_with_state(api.clone(), query::check))
        .route_layer(middleware::from_fn_with_state(api.clone(), once::repeat))
        .route_layer(middleware::from_fn_with_state(
            api.clone(),
            auth::authenticate,
        ));
    public
        .merge(private)
        .fallback(problem::unknown_route)
        .method_not_allowed_fallback(problem::wrong_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(CatchPanicLayer::custom(problem::panicked))
        .layer(middleware::from_fn_with_state(api.clone(), envelope::wrap))
        .with_state(api)
}

fn public_routes() -> OpenApiRouter<Api> {
    network::routes().merge(models::blob_routes())
}

fn private_routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .merge(tenants::routes())
        .merge(keys::routes())
        .merge(providers::routes())
        .merge(sites::routes())
        .merge(nodes::routes())
        .merge(models::routes())
        .merge(workloads::routes())
        .merge(leases::routes())
        .merge(ledger::routes())
        .merge(events::routes())
}

/// Serves until `stop`, then lets requests in flight end.
pub fn serve(
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
) -> impl Future<Output = ()> {
    let router = router
        .layer(Extension(Stopping(stop.clone())))
        .layer(middleware::from_fn(door::working))
        .into_make_service_with_connect_info::<door::Visitor>();
    let serving = axum::serve(door::Door::new(listener), router)
        .with_graceful_shutdown(stop.clone().cancelled_owned());
    async move {
        let too_late = async {
            stop.cancelled().await;
            tokio::time::sleep(STOP_WITHIN).await;
        };
        tokio::select! {
            served = serving.into_future() => {
                if let Err(error) = served {
                    tracing::error!(%error, "the HTTP listener failed");
                }
            }
            () = too_late => tracing::warn!("requests in flight were broken off"),
        }
    }
}
