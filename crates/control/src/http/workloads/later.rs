//! Workloads that are wanted later: as soon as there is room, or from a time on.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use remuda_network::state::{KeyOwner, Scope, Terms};
use remuda_network::{Command, Network};
use remuda_types::{ProjectId, Time, WorkloadId};
use remuda_wire::api::later::{PlaceOrder, Reservation, Reserve, StandingOrder};
use remuda_wire::api::{Page, PageQuery, UsdPerHour, WorkloadSpec};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{InProject, check, known_runtime, payer, sealed, why};
use crate::core::Core;
use crate::http::Api;
use crate::http::act::Act;
use crate::http::auth::Caller;
use crate::http::body::{Body, Id, Params};
use crate::http::once::Once;
use crate::http::page::{self, Window};
use crate::http::problem::Problem;
use crate::http::thing::{Thing, respond};

pub(in crate::http) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(place_order, list_orders))
        .routes(routes!(get_order, cancel_order))
        .routes(routes!(reserve, list_reservations))
        .routes(routes!(get_reservation, cancel_reservation))
}

/// What is wanted, and who pays for it.
struct Wanted {
    act: Act,
    project: ProjectId,
    terms: Terms,
    id: WorkloadId,
}

fn wanted(
    api: &Api,
    (caller, once): (&Caller, Once),
    project: Option<ProjectId>,
    spec: &WorkloadSpec,
) -> Result<Wanted, Problem> {
    caller.needs(Scope::Deploy)?;
    let (project, tenant) = payer(api, caller, project)?;
    let asked = check::checked(spec).map_err(in_body)?;
    let model = known_runtime(api, spec).map_err(in_body)?;
    let mut act = Act::new(api, once);
    let id = WorkloadId::derived(act.id(), 0);
    let terms = Terms {
        model,
        ..sealed(&mut act, tenant, spec, &asked)?
    };
    Ok(Wanted {
        act,
        project,
        terms,
        id,
    })
}

/// What is wrong with a spec, at its place in a body that has one.
fn in_body(problem: Problem) -> Problem {
    problem.within("/workload", &["/until_ms", "/from_ms", "/to_ms"])
}

/// The items of a list that a caller may see, a page of them.
fn listed<V, T, I: Iterator<Item = WorkloadId>>(
    caller: &Caller,
    window: &Window<WorkloadId>,
    (all, of_project): (&BTreeMap<WorkloadId, V>, impl Fn(ProjectId) -> I),
    view: impl Fn(WorkloadId) -> Option<T>,
) -> Page<T> {
    match caller.owner {
        KeyOwner::Operator => page::of_map(all, window, |id, _| view(id)),
        KeyOwner::Project(project) => {
            window.fill(of_project(project).filter_map(|id| Some((id, view(id)?))))
        }
        KeyOwner::Provider(_) => window.fill(std::iter::empty()),
    }
}

/// Has a workload deployed as soon as there is room for all of it, at a price that it allows: at
/// once where there is. Scope `deploy`.
#[utoipa::path(post, path = "/v1/orders", tag = "workloads", security(("key" = [])),
    params(InProject), request_body = PlaceOrder, responses((status = 201, body = StandingOrder)))]
async fn place_order(
    State(api): State<Api>,
    caller: Caller,
    once: Once,
    Params(in_project): Params<InProject>,
    Body(asked): Body<PlaceOrder>,
) -> Result<Response, Problem> {
    let spec = &asked.workload;
    let wanted = wanted(&api, (&caller, once), in_project.project, spec)?;
    let command = Command::PlaceOrder {
        project: wanted.project,
        terms: Box::new(wanted.terms),
        replicas: spec.replicas,
        until: Time::from_millis(asked.until_ms),
    };
    let (core, status) = (&api.app.core, StatusCode::CREATED);
    let done = wanted
        .act
        .commit(command, status, &Thing::Order(wanted.id))
        .await;
    done.map_err(in_body)?;
    let order = core.read(|network| order_view(core, network, wanted.id));
    let order = why::explained(core, order.into_iter().collect()).await;
    let body = serde_json::to_value(order.first()).map_err(|error| Problem::internal(&error))?;
    Ok(respond(status, body))
}

/// Standing orders. Scope `read`.
#[utoipa::path(get, path = "/v1/orders", tag = "workloads", security(("key" = [])),
    params(PageQuery), responses((status = 200, body = Page<StandingOrder>)))]
async fn list_orders(
    State(api): State<Api>,
    caller: Caller,
    Params(query): Params<PageQuery>,
) -> Result<Json<Page<StandingOrder>>, Problem> {
    caller.needs(Scope::Read)?;
    let window = Window::of(&query)?;
    let core = &api.app.core;
    let page = core.read(|network| {
        let of_project = |project| network.index().orders_of(project, window.after);
        let orders = (&network.state().orders, of_project);
        listed(&caller, &window, orders, |id| order_view(core, network, id))
    });
    Ok(Json(Page {
        data: why::explained(core, page.data).await,
        ..page
    }))
}

fn seen_order(api: &Api, caller: &Caller, id: WorkloadId) -> Result<StandingOrder, Problem> {
    let core = &api.app.core;
    let found = core.read(|network| order_view(core, network, id));
    let found = found.filter(|order| caller.sees_project(order.project));
    found.ok_or_else(|| Problem::not_found("standing order", id))
}

/// A standing order, or the workload that it became. Scope `read`.
#[utoipa::path(get, path = "/v1/orders/{id}", tag = "workloads", security(("key" = [])),
    params(("id" = String, Path, description = "The order")),
    responses((status = 200, body = StandingOrder)))]
async fn get_order(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<WorkloadId>,
) -> Result<Json<StandingOrder>, Problem> {
    caller.needs(Scope::Read)?;
    let order = seen_order(&api, &caller, id)?;
    let explained = why::explained(&api.app.core, vec![order]).await;
    let order = explained.into_iter().next();
    order
        .map(Json)
        .ok_or_else(|| Problem::not_found("standing order", id))
}

/// Wants what was ordered no longer. Scope `deploy`.
#[utoipa::path(delete, path = "/v1/orders/{id}", tag = "workloads", security(("key" = [])),
    params(("id" = String, Path, description = "The order")), responses((status = 204)))]
async fn cancel_order(
    State(api): State<Api>,
    caller: Caller,
    once: Once,
    Id(workload): Id<WorkloadId>,
) -> Result<Response, Problem> {
    caller.needs(Scope::Deploy)?;
    seen_order(&api, &caller, workload)?;
    let command = Command::CancelOrder { workload };
    Act::new(&api, once)
        .answer(command, StatusCode::NO_CONTENT, Thing::Nothing)
        .await
}

/// Keeps capacity for a workload from a time on and before another, at no more than it costs now.
/// Scope `deploy`.
#[utoipa::path(post, path = "/v1/reservations", tag = "workloads", security(("key" = [])),
    params(InProject), request_body = Reserve, responses((status = 201, body = Reservation)))]
async fn reserve(
    State(api): State<Api>,
    caller: Caller,
    once: Once,
    Params(in_project): Params<InProject>,
    Body(asked): Body<Reserve>,
) -> Result<Response, Problem> {
    let spec = &asked.workload;
    let wanted = wanted(&api, (&caller, once), in_project.project, spec)?;
    let command = Command::Reserve {
        project: wanted.project,
        terms: Box::new(wanted.terms),
        replicas: spec.replicas,
        from: Time::from_millis(asked.from_ms),
        to: Time::from_millis(asked.to_ms),
    };
    let thing = Thing::Reservation(wanted.id);
    let answered = wanted.act.answer(command, StatusCode::CREATED, thing).await;
    answered.map_err(in_body)
}

/// Reservations that are not over. Scope `read`.
#[utoipa::path(get, path = "/v1/reservations", tag = "workloads", security(("key" = [])),
    params(PageQuery), responses((status = 200, body = Page<Reservation>)))]
async fn list_reservations(
    State(api): State<Api>,
    caller: Caller,
    Params(query): Params<PageQuery>,
) -> Result<Json<Page<Reservation>>, Problem> {
    caller.needs(Scope::Read)?;
    let window = Window::of(&query)?;
    let core = &api.app.core;
    Ok(Json(core.read(|network| {
        let of_project = |project| network.index().reservations_of(project, window.after);
        let reservations = (&network.state().reservations, of_project);
        listed(&caller, &window, reservations, |id| {
            reservation_view(core, network, id)
        })
    })))
}

fn seen_reservation(api: &Api, caller: &Caller, id: WorkloadId) -> Result<Reservation, Problem> {
    let core = &api.app.core;
    let found = core.read(|network| reservation_view(core, network, id));
    let found = found.filter(|reservation| caller.sees_project(reservation.project));
    found.ok_or_else(|| Problem::not_found("reservation", id))
}

/// A reservation that is not over. Scope `read`.
#[utoipa::path(get, path = "/v1/reservations/{id}", tag = "workloads", security(("key" = [])),
    params(("id" = String, Path, description = "The reservation")),
    responses((status = 200, body = Reservation)))]
async fn get_reservation(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<WorkloadId>,
) -> Result<Json<Reservation>, Problem> {
    caller.needs(Scope::Read)?;
    seen_reservation(&api, &caller, id).map(Json)
}

/// Gives up a reservation that has not begun. Scope `deploy`.
#[utoipa::path(delete, path = "/v1/reservations/{id}", tag = "workloads", security(("key" = [])),
    params(("id" = String, Path, description = "The reservation")), responses((status = 204)))]
async fn cancel_reservation(
    State(api): State<Api>,
    caller: Caller,
    once: Once,
    Id(workload): Id<WorkloadId>,
) -> Result<Response, Problem> {
    caller.needs(Scope::Deploy)?;
    seen_reservation(&api, &caller, workload)?;
    let command = Command::CancelReservation { workload };
    Act::new(&api, once)
        .answer(command, StatusCode::NO_CONTENT, Thing::Nothing)
        .await
}

fn spec(core: &Core, terms: &Terms) -> Option<WorkloadSpec> {
    serde_json::from_str(&core.vault().text(terms.spec)).ok()
}

/// A standing order, or what it became.
pub(in crate::http) fn order_view(
    core: &Core,
    network: &Network,
    id: WorkloadId,
) -> Option<StandingOrder> {
    let state = network.state();
    if let Some(order) = state.orders.get(&id) {
        return Some(StandingOrder {
            id,
            project: order.project,
            name: core.vault().text(order.terms.label),
            state: "standing".to_owned(),
            workload: spec(core, &order.terms),
            created_ms: order.at.as_millis(),
            until_ms: Some(order.until.as_millis()),
            retry_ms: Some(order.retry.as_millis()),
            attempts: order.attempts,
            why: None,
            way_out: None,
        });
    }
    let filled = state.workloads.get(&id).filter(|of| of.ordered)?;
    Some(StandingOrder {
        id,
        project: filled.project,
        name: core.vault().text(filled.terms.label),
        state: "filled".to_owned(),
        workload: spec(core, &filled.terms),
        created_ms: filled.created.as_millis(),
        until_ms: None,
        retry_ms: None,
        attempts: 0,
        why: None,
        way_out: None,
    })
}

/// A reservation that is not over.
pub(in crate::http) fn reservation_view(
    core: &Core,
    network: &Network,
    id: WorkloadId,
) -> Option<Reservation> {
    let state = network.state();
    let reservation = state.reservations.get(&id)?;
    let claims = reservation.claims.iter();
    let places = claims
        .filter_map(|claim| state.claims.get(claim))
        .filter(|claim| claim.place.is_some());
    let price = reservation.terms.max_price;
    Some(Reservation {
        id,
        project: reservation.project,
        name: core.vault().text(reservation.terms.label),
        state: if reservation.begun {
            "begun"
        } else {
            "reserved"
        }
        .to_owned(),
        workload: spec(core, &reservation.terms),
        created_ms: reservation.at.as_millis(),
        from_ms: reservation.from.as_millis(),
        to_ms: reservation.to.as_millis(),
        max_price_usd_per_hour: price.map(UsdPerHour),
        places: u32::try_from(places.count()).unwrap_or(u32::MAX),
    })
}
