//! Tenants, their projects, money in.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use remuda_network::ledger::{Account, Balance as LedgerBalance, Rail};
use remuda_network::state::{KeyOwner, Scope};
use remuda_network::{Command, Network};
use remuda_types::{ProjectId, TenantId};
use remuda_wire::api::tenant::{
    Balance, CreateProject, CreateTenant, Deposit, FundBudget, Project, Rail as ApiRail, Tenant,
};
use remuda_wire::api::{Page, PageQuery, Usd};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::act::Act;
use super::auth::Caller;
use super::body::{Body, Id, Params};
use super::labels::{self, check_name};
use super::once::Once;
use super::page::{self, Window};
use super::problem::Problem;
use super::thing::Thing;
use crate::core::Core;
use crate::vault::OPERATOR;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(top_up))
        .routes(routes!(create_project))
        .routes(routes!(list_projects))
        .routes(routes!(project))
        .routes(routes!(fund))
}

pub(super) fn balance(of: LedgerBalance) -> Balance {
    Balance {
        posted_usd: Usd(of.posted),
        reserved_usd: Usd(of.pending_debits),
        available_usd: Usd(of.available()),
    }
}

pub(super) const fn rail(rail: ApiRail) -> Rail {
    match rail {
        ApiRail::Bank => Rail::Bank,
        ApiRail::Chain => Rail::Chain,
    }
}

pub(super) fn view(core: &Core, network: &Network, id: TenantId) -> Option<Tenant> {
    let tenant = network.state().tenants.get(&id)?;
    let available = |account| Usd(network.state().ledger.balance(account).available());
    Some(Tenant {
        id,
        name: core.vault().text(tenant.label),
        created_ms: tenant.created.as_millis(),
        prepaid_usd: available(Account::TenantPrepaid(id)),
        credit_usd: available(Account::TenantCredit(id)),
    })
}

pub(super) fn project_view(core: &Core, network: &Network, id: ProjectId) -> Option<Project> {
    let project = network.state().projects.get(&id)?;
    Some(Project {
        id,
        tenant: project.tenant,
        name: core.vault().text(project.label),
        created_ms: project.created.as_millis(),
        budget: balance(network.state().ledger.balance(Account::ProjectBudget(id))),
    })
}

/// Creates a tenant. Scope `admin`, the operator's.
#[utoipa::path(post, path = "/v1/tenants", tag = "tenants", security(("key" = [])),
    request_body = CreateTenant, responses((status = 201, body = Tenant)))]
async fn create(
    State(api): State<Api>,
    caller: Caller,
    once: Once,
    Body(asked): Body<CreateTenant>,
) -> Result<Response, Problem> {
    caller.needs_operator(Scope::Admin)?;
    check_name(&asked.name)?;
    let mut act = Act::new(&api, once);
    let label = act.seal(OPERATOR, labels::TENANT_NAME, &asked.name);
    let thing = Thing::Tenant(TenantId::derived(act.id(), 0));
    act.answer(Command::CreateTenant { label }, StatusCode::CREATED, thing)
        .await
}

/// Tenants: the operator sees all, a project its own. Scope `read`.
#[utoipa::path(get, path = "/v1/tenants", tag = "tenants", security(("key" = [])),
    params(PageQuery), responses((status = 200, body = Page<Tenant>)))]
async fn list(
    State(api): State<Api>,
    caller: Caller,
    Params(query): Params<PageQuery>,
) -> Result<Json<Page<Tenant>>, Problem> {
    caller.needs(Scope::Read)?;
    let window = Window::of(&query)?;
    let core = &api.app.core;
    Ok(Json(core.read(|network| {
        let own = own_tenant(network, &caller);
        page::of_map(&network.state().tenants, &window, |id, _| {
            let seen = caller.owner == KeyOwner::Operator || own == Some(id);
            seen.then(|| view(core, network, id)).flatten()
        })
    })))
}

/// The tenant of a project's key.
pub(super) fn own_tenant(network: &Network, caller: &Caller) -> Option<TenantId> {
    match caller.owner {
        KeyOwner::Project(project) => network
            .state()
            .projects
            .get(&project)
            .map(|project| project.tenant),
        KeyOwner::Operator | KeyOwner::Provider(_) => None,
    }
}

/// Books money that arrived for a tenant. Scope `admin`, the operator's.
#[utoipa::path(post, path = "/v1/tenants/{id}/top-ups", tag = "tenants", security(("key" = [])),
    params(("id" = String, Path, description = "The tenant")),
    request_body = Deposit, responses((status = 201, body = Tenant)))]
async fn top_up(
    State(api): State<Api>,
    caller: Caller,
    once: Once,
    Id(tenant): Id<TenantId>,
    Body(asked): Body<Deposit>,
) -> Result<Response, Problem> {
    caller.needs_operator(Scope::Admin)?;
    let command = Command::TopUp {
        tenant,
        amount: asked.amount_usd.0,
        rail: rail(asked.rail),
    };
    Act::new(&api, once)
        .answer(command, StatusCode::CREATED, Thing::Tenant(tenant))
        .await
}

/// Creates a project. Scope `admin`, the operator's.
#[utoipa::path(post, path = "/v1/tenants/{id}/projects", tag = "tenants", security(("key" = [])),
    params(("id" = String, Path, description = "The tenant")),
    request_body = CreateProject, responses((status = 201, body = Project)))]
async fn create_project(
    State(api): State<Api>,
    caller: Caller,
    once: Once,
    Id(tenant): Id<TenantId>,
    Body(asked): Body<CreateProject>,
) -> Result<Response, Problem> {
    caller.needs_operator(Scope::Admin)?;
    check_name(&asked.name)?;
    // Sealing makes a key for the tenant, so it must exist.
    api.app
        .core
        .read(|network| network.state().tenants.contains_key(&tenant))
        .then_some(())
        .ok_or_else(|| Problem::not_found("tenant", tenant))?;
    let mut act = Act::new(&api, once);
    let label = act.seal(labels::of_tenant(tenant), labels::PROJECT_NAME, &asked.name);
    let thing = Thing::Project(ProjectId::derived(act.id(), 0));
    act.answer(
        Command::CreateProject { tenant, label },
        StatusCode::CREATED,
        thing,
    )
    .await
}

/// Projects: the operator sees all, a project itself. Scope `read`.
#[utoipa::path(get, path = "/v1/projects", tag = "tenants", security(("key" = [])),
    params(PageQuery), responses((status = 200, body = Page<Project>)))]
async fn list_projects(
    State(api): State<Api>,
    caller: Caller,
    Params(query): Params<PageQuery>,
) -> Result<Json<Page<Project>>, Problem> {
    caller.needs(Scope::Read)?;
    let window = Window::of(&query)?;
    let core = &api.app.core;
    Ok(Json(core.read(|network| {
        page::of_map(&network.state().projects, &window, |id, _| {
            caller
                .sees_project(id)
                .then(|| project_view(core, network, id))
                .flatten()
        })
    })))
}

/// A project and its budget. Scope `read`.
#[utoipa::path(get, path = "/v1/projects/{id}", tag = "tenants", security(("key" = [])),
    params(("id" = String, Path, description = "The project")),
    responses((status = 200, body = Project)))]
async fn project(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<ProjectId>,
) -> Result<Json<Project>, Problem> {
    caller.needs(Scope::Read)?;
    caller.project(id)?;
    let core = &api.app.core;
    let found = core.read(|network| project_view(core, network, id));
    found
        .map(Json)
        .ok_or_else(|| Problem::not_found("project", id))
}

/// Moves the tenant's credits, then its prepaid money, into the project's budget. Scope `admin`.
#[utoipa::path(post, path = "/v1/projects/{id}/budget", tag = "tenants", security(("key" = [])),
    params(("id" = String, Path, description = "The project")),
    request_body = FundBudget, responses((status = 201, body = Project)))]
async fn fund(
    State(api): State<Api>,
    caller: Caller,
    once: Once,
    Id(project): Id<ProjectId>,
    Body(asked): Body<FundBudget>,
) -> Result<Response, Problem> {
    caller.needs(Scope::Admin)?;
    caller.project(project)?;
    let command = Command::FundBudget {
        project,
        amount: asked.amount_usd.0,
    };
    Act::new(&api, once)
        .answer(command, StatusCode::CREATED, Thing::Project(project))
        .await
}
