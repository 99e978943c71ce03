//! Providers, their bonds and sites.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use remuda_network::command::LeaveManner;
use remuda_network::ledger::Account;
use remuda_network::state::{Presence, Scope, Standing};
use remuda_network::{Command, Network};
use remuda_types::{Place, PlaceError, ProviderId, SiteId, Time};
use remuda_wire::api::problem::FieldError;
use remuda_wire::api::provider::{
    LeaveManner as ApiManner, LeaveProvider, Provider, RegisterProvider, RegisterSite, Site,
};
use remuda_wire::api::tenant::Deposit;
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
use super::tenants::rail;
use super::thing::Thing;
use crate::core::Core;
use crate::vault::OPERATOR;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(register, list))
        .routes(routes!(get))
        .routes(routes!(bond))
        .routes(routes!(register_site))
        .routes(routes!(leave))
        .routes(routes!(list_sites))
}

pub(super) fn view(core: &Core, network: &Network, id: ProviderId) -> Option<Provider> {
    let state = network.state();
    let provider = state.providers.get(&id)?;
    let (standing, leaves) = match provider.standing {
        Standing::Active => ("active", None),
        Standing::Leaving(at) => ("leaving", Some(at)),
        Standing::Left(at) => ("left", Some(at)),
    };
    let posted = |account| Usd(state.ledger.balance(account).posted);
    let stays = |node: &&remuda_network::state::Node| {
        node.provider == id && !matches!(node.presence, Presence::Left(_))
    };
    Some(Provider {
        id,
        name: core.vault().text(provider.label),
        joined_ms: provider.joined.as_millis(),
        standing: standing.to_owned(),
        leaves_ms: leaves.map(Time::as_millis),
        bond_usd: posted(Account::ProviderBond(id)),
        held_usd: posted(Account::ProviderHeld(id)),
        available_usd: posted(Account::ProviderAvailable(id)),
        nodes: state.nodes.values().filter(stays).count() as u64,
    })
}

pub(super) fn site_view(core: &Core, network: &Network, id: SiteId) -> Option<Site> {
    let site = network.state().sites.get(&id)?;
    Some(Site {
        id,
        provider: site.provider,
        name: core.vault().text(site.label),
        country: site.country,
        latitude: site.place.latitude(),
        longitude: site.place.longitude(),
    })
}

/// Registers a provider. Scope `admin`, the operator's.
#[utoipa::path(post, path = "/v1/providers", tag = "providers", security(("key" = [])),
    request_body = RegisterProvider, responses((status = 201, body = Provider)))]
async fn register(
    State(api): State<Api>,
    caller: Caller,
    once: Once,
    Body(asked): Body<RegisterProvider>,
) -> Result<Response, Problem> {
    caller.needs_operator(Scope::Admin)?;
    check_name(&asked.name)?;
    let mut act = Act::new(&api, once);
    let label = act.seal(OPERATOR, labels::PROVIDER_NAME, &asked.name);
    let thing = Thing::Provider(ProviderId::derived(act.id(), 0));
    act.answer(
        Command::RegisterProvider { label },
        StatusCode::CREATED,
        thing,
    )
    .await
}

/// Providers: the operator sees all, a provider itself. Scope `read`.
#[utoipa::path(get, path = "/v1/providers", tag = "providers", security(("key" = [])),
    params(PageQuery), responses((status = 200, body = Page<Provider>)))]
async fn list(
    State(api): State<Api>,
    caller: Caller,
    Params(query): Params<PageQuery>,
) -> Result<Json<Page<Provider>>, Problem> {
    caller.needs(Scope::Read)?;
    let window = Window::of(&query)?;
    let core = &api.app.core;
    Ok(Json(core.read(|network| {
        page::of_map(&network.state().providers, &window, |id, _| {
            caller
                .sees_provider(id)
                .then(|| view(core, network, id))
                .flatten()
        })
    })))
}

/// A provider. Scope `read`.
#[utoipa::path(get, path = "/v1/providers/{id}", tag = "providers", security(("key" = [])),
    params(("id" = String, Path, description = "The provider")),
    responses((status = 200, body = Provider)))]
async fn get(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<ProviderId>,
) -> Result<Json<Provider>, Problem> {
    caller.needs(Scope::Read)?;
    caller.provider(id)?;
    let core = &api.app.core;
    let found = core.read(|network| view(core, network, id));
    found
        .map(Json)
        .ok_or_else(|| Problem::not_found("provider", id))
}

/// Books a provider's deposit. Scope `admin`, the operator's.
#[utoipa::path(post, path = "/v1/providers/{id}/bond", tag = "providers", security(("key" = [])),
    params(("id" = String, Path, description = "The provider")),
    request_body = Deposit, responses((status = 201, body = Provider)))]
async fn bond(
    State(api): State<Api>,
    caller: Caller,
    once: Once,
    Id(provider): Id<ProviderId>,
    Body(asked): Body<Deposit>,
) -> Result<Response, Problem> {
    caller.needs_operator(Scope::Admin)?;
    let (amount, rail) = (asked.amount_usd.0, rail(asked.rail));
    let command = Command::DepositBond {
        provider,
        amount,
        rail,
    };
    Act::new(&api, once)
        .answer(command, StatusCode::CREATED, Thing::Provider(provider))
        .await
}

/// Which of the two coordinates is wrong, under `parent`.
pub(super) fn place_error(parent: &str, error: &PlaceError) -> FieldError {
    let field = match error {
        PlaceError::Country(_) => "country",
        PlaceError::Latitude(_) => "latitude",
        PlaceError::Longitude(_) => "longitude",
    };
    FieldError {
        pointer: format!("{parent}/{field}"),
        detail: error.to_string(),
    }
}

/// Names a place where nodes stand. Scope `supply`.
#[utoipa::path(post, path = "/v1/providers/{id}/sites", tag = "providers", security(("key" = [])),
    params(("id" = String, Path, description = "The provider")),
    request_body = RegisterSite, responses((status = 201, body = Site)))]
async fn register_site(
    State(api): State<Api>,
    caller: Caller,
    once: Once,
    Id(provider): Id<ProviderId>,
    Body(asked): Body<RegisterSite>,
) -> Result<Response, Problem> {
    caller.needs(Scope::Supply)?;
    caller.provider(provider)?;
    check_name(&asked.name)?;
    let place = Place::from_degrees(asked.latitude, asked.longitude);
    let place = place.map_err(|error| Problem::fields(vec![place_error("", &error)]))?;
    // Sealing makes a key for the provider, so it must exist.
    api.app
        .core
        .read(|network| network.state().providers.contains_key(&provider))
        .then_some(())
        .ok_or_else(|| Problem::not_found("provider", provider))?;
    let mut act = Act::new(&api, once);
    let label = act.seal(
        labels::of_provider(provider),
        labels::SITE_NAME,
        &asked.name,
    );
    let thing = Thing::Site(SiteId::derived(act.id(), 0));
    let country = asked.country;
    let command = Command::RegisterSite {
        provider,
        label,
        country,
        place,
    };
    act.answer(command, StatusCode::CREATED, thing).await
}

/// Leaves the network, with notice or now. Scope `supply`.
#[utoipa::path(post, path = "/v1/providers/{id}/leave", tag = "providers", security(("key" = [])),
    params(("id" = String, Path, description = "The provider")),
    request_body = LeaveProvider, responses((status = 200, body = Provider)))]
async fn leave(
    State(api): State<Api>,
    caller: Caller,
    once: Once,
    Id(provider): Id<ProviderId>,
    Body(asked): Body<LeaveProvider>,
) -> Result<Response, Problem> {
    caller.needs(Scope::Supply)?;
    caller.provider(provider)?;
    let manner = match asked.manner {
        ApiManner::Notice => LeaveManner::Notice,
        ApiManner::Now => LeaveManner::Now,
    };
    let command = Command::LeaveProvider { provider, manner };
    Act::new(&api, once)
        .answer(command, StatusCode::OK, Thing::Provider(provider))
        .await
}

/// Sites: the operator sees all, a provider its own. Scope `read`.
#[utoipa::path(get, path = "/v1/sites", tag = "providers", security(("key" = [])),
    params(PageQuery), responses((status = 200, body = Page<Site>)))]
async fn list_sites(
    State(api): State<Api>,
    caller: Caller,
    Params(query): Params<PageQuery>,
) -> Result<Json<Page<Site>>, Problem> {
    caller.needs(Scope::Read)?;
    let window = Window::of(&query)?;
    let core = &api.app.core;
    Ok(Json(core.read(|network| {
        page::of_map(&network.state().sites, &window, |id, site| {
            caller
                .sees_provider(site.provider)
                .then(|| site_view(core, network, id))
                .flatten()
        })
    })))
}
