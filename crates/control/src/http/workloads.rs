//! Workloads: deployed, looked at, scaled, stopped; what their replicas printed.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use remuda_network::Command;
use remuda_network::state::{KeyOwner, Model, Scope, Terms};
use remuda_types::{ClassChoice, Label, ProjectId, TenantId, WorkloadId};
use remuda_wire::api::replica::{ScaleWorkload, Workload};
use remuda_wire::api::workload::copies_fault;
use remuda_wire::api::{Page, PageQuery, WorkloadSpec};
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::act::Act;
use super::auth::Caller;
use super::body::{Body, Id, Params};
use super::labels;
use super::models;
use super::once::Once;
use super::page::{self, Load, Window};
use super::problem::Problem;
use super::thing::{Thing, respond};

mod check;
mod later;
mod logs;
mod view;
mod why;

pub(super) use later::{order_view, reservation_view};
pub(super) use view::view;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(deploy, list))
        .routes(routes!(get, scale, stop))
        .routes(routes!(logs::logs))
        .merge(later::routes())
}

/// Whose workload.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct InProject {
    /// The project; needed with an operator's key.
    #[param(value_type = Option<String>)]
    project: Option<ProjectId>,
}

/// Deploys a workload: the answer says where each copy went and why there. Scope `deploy`.
#[utoipa::path(post, path = "/v1/workloads", tag = "workloads", security(("key" = [])),
    params(InProject), request_body = WorkloadSpec, responses((status = 201, body = Workload)))]
async fn deploy(
    State(api): State<Api>,
    caller: Caller,
    once: Once,
    Params(in_project): Params<InProject>,
    Body(spec): Body<WorkloadSpec>,
) -> Result<Response, Problem> {
    caller.needs(Scope::Deploy)?;
    let core = &api.app.core;
    let (project, tenant) = payer(&api, &caller, in_project.project)?;
    let asked = check::checked(&spec)?;
    let model = known_runtime(&api, &spec)?;

    let mut act = Act::new(&api, once);
    let id = WorkloadId::derived(act.id(), 0);
    let terms = Terms {
        model,
        ..sealed(&mut act, tenant, &spec, &asked)?
    };
    let whys = core.read(|network| why::preview(network, &terms, spec.replicas));
    let command = Command::Deploy {
        project,
        terms: Box::new(terms),
        replicas: spec.replicas,
    };
    act.commit(command, StatusCode::CREATED, &Thing::Workload(id))
        .await?;
    let deployed = core.read(|network| view(core, network, id));
    let deployed = deployed.map(|workload| why::paired(workload, whys));
    let body = serde_json::to_value(deployed).map_err(|error| Problem::internal(&error))?;
    Ok(respond(StatusCode::CREATED, body))
}

/// The project that pays, and its tenant.
fn payer(
    api: &Api,
    caller: &Caller,
    asked: Option<ProjectId>,
) -> Result<(ProjectId, TenantId), Problem> {
    let project = match (caller.owner, asked) {
        (KeyOwner::Project(own), None) => own,
        (KeyOwner::Project(_) | KeyOwner::Operator, Some(asked)) => asked,
        (KeyOwner::Operator, None) => {
            return Err(Problem::invalid(
                "project is missing: an operator's key names it in the query",
            ));
        }
        (KeyOwner::Provider(_), _) => return Err(Problem::wrong_owner("a key of a project")),
    };
    caller.project(project)?;
    let tenant = api.app.core.read(|network| {
        network
            .state()
            .projects
            .get(&project)
            .map(|project| project.tenant)
    });
    tenant
        .map(|tenant| (project, tenant))
        .ok_or_else(|| Problem::not_found("project", project))
}

/// Refuses models that are not in the catalogue, and processes where they may not run. The weights
/// are those that the model's name stands for now: another file under it later is not theirs.
fn known_runtime(api: &Api, spec: &WorkloadSpec) -> Result<Option<Model>, Problem> {
    let core = &api.app.core;
    if let Some(model) = &spec.model {
        let label = models::label(core, &model.name);
        let found = core.read(|network| network.state().models.get(&label).copied());
        return found.map(Some).ok_or_else(|| {
            let detail = format!(
                "there is no model {}: GET /v1/models lists them",
                model.name
            );
            Problem::field("/model/name", detail)
        });
    }
    let allowed = core.read(|network| network.state().policy.processes_allowed);
    if spec.process.is_some() && !allowed {
        let detail = "plain processes may not run on this network: deploy a model";
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "runtime-not-allowed",
            detail,
        ));
    }
    Ok(None)
}

/// The part of the spec that decisions need; its texts are sealed under the tenant's key.
fn sealed(
    act: &mut Act,
    tenant: TenantId,
    spec: &WorkloadSpec,
    asked: &check::Asked,
) -> Result<Terms, Problem> {
    let owner = labels::of_tenant(tenant);
    let text = serde_json::to_string(spec).map_err(|error| Problem::internal(&error))?;
    let label: Label = act.seal(owner, labels::WORKLOAD_NAME, &spec.name);
    Ok(Terms {
        kind: asked.kind,
        label,
        spec: act.seal(owner, labels::WORKLOAD_SPEC, &text),
        tier: spec.tier,
        shape: spec.resources,
        classes: ClassChoice::classes_of(&spec.placement.classes),
        countries: spec.placement.countries.clone(),
        max_price: asked.max_price,
        near: asked.near,
        tokens: asked.tokens,
        model: None,
        together: spec.placement.together,
        max_owner_share: asked.max_owner_share,
        max_site_share: asked.max_site_share,
    })
}

/// Which workloads.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct WorkloadFilter {
    /// The one of this name only.
    name: Option<String>,
    /// Those of this project only.
    #[param(value_type = Option<String>)]
    project: Option<ProjectId>,
}

/// So many replicas are on one page of workloads at most, unless one workload has more.
const REPLICAS_A_PAGE: usize = 10_000;

/// Workloads that are not over; a page that would have too many replicas has fewer of them than
/// were asked for. Scope `read`.
#[utoipa::path(get, path = "/v1/workloads", tag = "workloads", security(("key" = [])),
    params(PageQuery, WorkloadFilter), responses((status = 200, body = Page<Workload>)))]
async fn list(
    State(api): State<Api>,
    caller: Caller,
    Params(query): Params<PageQuery>,
    Params(filter): Params<WorkloadFilter>,
) -> Result<Json<Page<Workload>>, Problem> {
    caller.needs(Scope::Read)?;
    let window = Window::of(&query)?;
    let core = &api.app.core;
    let load = Load {
        of: |workload: &Workload| workload.replicas.len(),
        most: REPLICAS_A_PAGE,
    };
    Ok(Json(core.read(|network| {
        page::of_map_within(
            &network.state().workloads,
            &window,
            &load,
            |id, workload| {
                let name = || core.vault().text(workload.terms.label);
                let wanted = caller.sees_project(workload.project)
                    && filter
                        .project
                        .is_none_or(|project| workload.project == project)
                    && filter.name.as_ref().is_none_or(|wanted| name() == *wanted);
                wanted.then(|| view(core, network, id)).flatten()
            },
        )
    })))
}

/// A workload that the caller may see.
fn seen(api: &Api, caller: &Caller, id: WorkloadId) -> Result<Workload, Problem> {
    let core = &api.app.core;
    let found = core.read(|network| view(core, network, id));
    let found = found.filter(|workload| caller.sees_project(workload.project));
    found.ok_or_else(|| Problem::not_found("workload", id))
}

/// A workload and its replicas. Scope `read`.
#[utoipa::path(get, path = "/v1/workloads/{id}", tag = "workloads", security(("key" = [])),
    params(("id" = String, Path, description = "The workload")),
    responses((status = 200, body = Workload)))]
async fn get(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<WorkloadId>,
) -> Result<Json<Workload>, Problem> {
    caller.needs(Scope::Read)?;
    let mut workload = seen(&api, &caller, id)?;
    workload.why_waiting = why::waiting(&api.app.core, id).await;
    Ok(Json(workload))
}

/// Has more or fewer copies run. Scope `deploy`.
#[utoipa::path(patch, path = "/v1/workloads/{id}", tag = "workloads", security(("key" = [])),
    params(("id" = String, Path, description = "The workload")),
    request_body = ScaleWorkload, responses((status = 200, body = Workload)))]
async fn scale(
    State(api): State<Api>,
    caller: Caller,
    once: Once,
    Id(workload): Id<WorkloadId>,
    Body(asked): Body<ScaleWorkload>,
) -> Result<Response, Problem> {
    caller.needs(Scope::Deploy)?;
    seen(&api, &caller, workload)?;
    check_copies(&api, workload, asked.replicas)?;
    let command = Command::Scale {
        workload,
        replicas: asked.replicas,
    };
    Act::new(&api, once)
        .answer(command, StatusCode::OK, Thing::Workload(workload))
        .await
}

/// Refuses to scale a workload down to fewer copies than its tier can keep its promise with.
fn check_copies(api: &Api, workload: WorkloadId, replicas: u32) -> Result<(), Problem> {
    let tier = api.app.core.read(|network| {
        let found = network.state().workloads.get(&workload);
        let shrinks = found.filter(|workload| replicas < workload.replica_count());
        shrinks.map(|workload| workload.terms.tier)
    });
    match tier.and_then(|tier| copies_fault(tier, replicas)) {
        Some((pointer, detail)) => Err(Problem::field(pointer, detail)),
        None => Ok(()),
    }
}

/// Ends a workload: its replicas finish what they have. Scope `deploy`.
#[utoipa::path(delete, path = "/v1/workloads/{id}", tag = "workloads", security(("key" = [])),
    params(("id" = String, Path, description = "The workload")), responses((status = 204)))]
async fn stop(
    State(api): State<Api>,
    caller: Caller,
    once: Once,
    Id(workload): Id<WorkloadId>,
) -> Result<Response, Problem> {
    caller.needs(Scope::Deploy)?;
    seen(&api, &caller, workload)?;
    let command = Command::StopWorkload { workload };
    Act::new(&api, once)
        .answer(command, StatusCode::NO_CONTENT, Thing::Nothing)
        .await
}
