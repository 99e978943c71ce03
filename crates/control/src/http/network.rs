//! Control itself: is it there, what can it do, how is it joined. No key is needed.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use remuda_wire::api::network::{Health, NetworkInfo, Plan, Ready};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::problem::Problem;
use crate::core::Core;
use crate::metrics::Standing;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(health))
        .routes(routes!(ready))
        .routes(routes!(network))
        .routes(routes!(metrics))
        .routes(routes!(openapi))
        .routes(routes!(workload_schema))
}

/// Whether control is there.
#[utoipa::path(get, path = "/v1/health", tag = "network", responses((status = 200, body = Health)))]
async fn health() -> Json<Health> {
    Json(Health {
        status: "ok".to_owned(),
    })
}

/// What control can do: reads are served even while it cannot write.
///
/// Where a part of control has ended unasked, nothing is sure any more: that is 503.
#[utoipa::path(get, path = "/v1/ready", tag = "network",
    responses((status = 200, body = Ready), (status = 503, body = Ready)))]
async fn ready(State(api): State<Api>) -> Response {
    let core = &api.app.core;
    let ready = |why: Option<String>| {
        Json(Ready {
            writable: why.is_none(),
            why,
        })
    };
    if let Some(failure) = core.vitals().failure() {
        let body = ready(Some(failure.to_string()));
        return (StatusCode::SERVICE_UNAVAILABLE, body).into_response();
    }
    let why = core.follower().writable().err();
    ready(why.map(|why| why.to_string())).into_response()
}

/// How nodes and gateways reach control.
#[utoipa::path(get, path = "/v1/network", tag = "network", responses((status = 200, body = NetworkInfo)))]
async fn network(State(api): State<Api>) -> Json<NetworkInfo> {
    let core = &api.app.core;
    let endpoint = api.app.sessions.endpoint();
    let seq = core.changes().borrow().0;
    Json(NetworkInfo {
        endpoint: endpoint.id().to_string(),
        addresses: endpoint.addr().ip_addrs().copied().collect(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        seq,
        clock_ms: core.clock().now().as_millis(),
        processes_allowed: core.read(|network| network.state().policy.processes_allowed),
        plan: plan(core),
    })
}

/// The plan that is followed. What it says of the network is known to the control that made it.
fn plan(core: &Core) -> Option<Plan> {
    let adopted = |network: &remuda_network::Network| {
        let plan = network.state().plan.as_ref()?;
        Some((plan.number, plan.at, plan.quotas.len()))
    };
    let (number, at, quotas) = core.read(adopted)?;
    let planned = core.planned();
    Some(Plan {
        number,
        adopted_ms: at.as_millis(),
        quotas: quotas as u64,
        gap_ppm: planned.and_then(|planned| planned.gap_ppm),
        unserved_gpu_milli: planned.map(|planned| planned.unserved_gpu_milli),
        took_ms: planned.map(|planned| u64::try_from(planned.took.as_millis()).unwrap_or(u64::MAX)),
    })
}

/// Control's metrics, for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "network",
    responses((status = 200, body = String, content_type = "application/openmetrics-text")))]
async fn metrics(State(api): State<Api>) -> Result<impl IntoResponse, Problem> {
    if api.metrics.is_stale() {
        observe(&api);
    }
    let text = api
        .metrics
        .render()
        .map_err(|error| Problem::internal(&error))?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text))
}

/// Brings the gauges up to date.
fn observe(api: &Api) {
    let core = &api.app.core;
    let connected = |network: &remuda_network::Network| {
        let nodes = network.state().nodes.keys();
        nodes
            .filter(|node| api.app.sessions.is_connected(node))
            .count()
    };
    let seq = core.changes().borrow().0;
    let writable = core.follower().writable().is_ok();
    let gateways = api.app.sessions.gateways().len();
    core.read(|network| {
        let standing = Standing {
            seq,
            writable,
            sessions: connected(network),
            gateways,
        };
        api.metrics.observe(network.state(), standing);
    });
}

/// This description.
#[utoipa::path(get, path = "/v1/openapi.json", tag = "network",
    responses((status = 200, body = Object, content_type = "application/json")))]
async fn openapi(State(api): State<Api>) -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "application/json")],
        api.document.openapi.clone(),
    )
}

/// The JSON Schema of the workload spec, for editors.
#[utoipa::path(get, path = "/v1/schema/workload.json", tag = "network",
    responses((status = 200, body = Object, content_type = "application/schema+json")))]
async fn workload_schema(State(api): State<Api>) -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "application/schema+json")],
        api.document.workload.clone(),
    )
}
