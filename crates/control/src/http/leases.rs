//! Leases.

use axum::Json;
use axum::extract::State;
use remuda_network::Network;
use remuda_network::state::{Lease as StateLease, Meter, Scope};
use remuda_types::{LeaseId, Time, WorkloadId};
use remuda_wire::api::lease::{Lease, Metered};
use remuda_wire::api::{Page, PageQuery, Usd, UsdPerHour};
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::auth::Caller;
use super::body::{Id, Params};
use super::page::{self, Window};
use super::problem::Problem;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(get))
}

/// What the slice that runs came to by `now`, as it would be settled.
pub(super) fn accruing(lease: &StateLease, now: Time) -> Metered {
    let Meter {
        ready,
        starting,
        suspect,
        silent,
        ..
    } = lease.meter.accrue(lease.phase, now);
    Metered {
        ready_ms: ready.as_millis(),
        starting_ms: starting.as_millis(),
        suspect_ms: suspect.as_millis(),
        silent_ms: silent.as_millis(),
        amount_usd: Usd(lease.price.for_span(ready)),
    }
}

fn view(network: &Network, id: LeaseId, now: Time) -> Option<Lease> {
    let lease = network.state().leases.get(&id)?;
    let site = network.state().sites.get(&lease.site)?;
    let node = network.state().nodes.get(&lease.node)?;
    Some(Lease {
        id,
        replica: lease.replica,
        workload: lease.workload,
        project: lease.project,
        node: lease.node,
        site: lease.site,
        country: site.country,
        provider: lease.provider,
        class: node.class,
        shape: lease.shape,
        price_usd_per_hour: UsdPerHour(lease.price),
        epoch: lease.epoch,
        phase: lease.phase.as_str().to_owned(),
        granted_ms: lease.granted.as_millis(),
        hard_end_ms: lease.hard_end.as_millis(),
        reserved_usd: Usd(lease.reserved),
        slice_end_ms: lease.slice_end.as_millis(),
        accruing: accruing(lease, now),
    })
}

/// Those who pay for a lease and those who earn by it.
pub(super) fn sees(caller: &Caller, lease: &StateLease) -> bool {
    caller.sees_project(lease.project) || caller.sees_provider(lease.provider)
}

/// Which leases.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct LeaseFilter {
    /// Those of this workload only.
    #[param(value_type = Option<String>)]
    workload: Option<WorkloadId>,
}

/// Live leases that the caller pays for or earns by; the operator sees all. Scope `read`.
#[utoipa::path(get, path = "/v1/leases", tag = "leases", security(("key" = [])),
    params(PageQuery, LeaseFilter), responses((status = 200, body = Page<Lease>)))]
async fn list(
    State(api): State<Api>,
    caller: Caller,
    Params(query): Params<PageQuery>,
    Params(filter): Params<LeaseFilter>,
) -> Result<Json<Page<Lease>>, Problem> {
    caller.needs(Scope::Read)?;
    let window = Window::of(&query)?;
    let now = api.app.core.clock().now();
    Ok(Json(api.app.core.read(|network| {
        page::of_map(&network.state().leases, &window, |id, lease| {
            let wanted = filter
                .workload
                .is_none_or(|workload| lease.workload == workload);
            (wanted && sees(&caller, lease))
                .then(|| view(network, id, now))
                .flatten()
        })
    })))
}

/// A live lease. Scope `read`.
#[utoipa::path(get, path = "/v1/leases/{id}", tag = "leases", security(("key" = [])),
    params(("id" = String, Path, description = "The lease")),
    responses((status = 200, body = Lease)))]
async fn get(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<LeaseId>,
) -> Result<Json<Lease>, Problem> {
    caller.needs(Scope::Read)?;
    let now = api.app.core.clock().now();
    let found = api.app.core.read(|network| {
        let lease = network.state().leases.get(&id)?;
        sees(&caller, lease)
            .then(|| view(network, id, now))
            .flatten()
    });
    found
        .map(Json)
        .ok_or_else(|| Problem::not_found("live lease", id))
}
