//! Sites that drain: all their nodes at once, how far they are, and what has nowhere to go. How sites
//! are named does not belong here: see `providers`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use remuda_network::state::{KeyOwner, Lease, Node, Phase, Presence, Scope};
use remuda_network::{Command, Network};
use remuda_types::{LeaseId, NodeKey, SiteId};
use remuda_wire::api::provider::{SiteDrain, Staying};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::act::Act;
use super::auth::Caller;
use super::body::Id;
use super::once::Once;
use super::problem::Problem;
use super::thing::{Thing, respond};
use crate::core::Core;

/// Of so many leases that stay it is said why: each takes a look at all nodes.
const EXPLAINED: usize = 16;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(drain_site, site_drain, resume_site))
}

/// The nodes of a site, in the order of their keys.
fn nodes_of(network: &Network, id: SiteId) -> impl Iterator<Item = (NodeKey, &Node)> {
    let site = network.state().sites.get(&id).into_iter();
    let nodes = site.flat_map(|site| network.index().nodes_of(site.provider));
    let nodes = nodes.filter_map(|key| Some((key, network.state().nodes.get(&key)?)));
    nodes.filter(move |(_, node)| node.site == id)
}

/// The live leases on those nodes of a site that drain.
fn leases_on(network: &Network, id: SiteId) -> impl Iterator<Item = (LeaseId, &Lease)> {
    let nodes = nodes_of(network, id).map(|(_, node)| node);
    let nodes = nodes.filter(|node| matches!(node.presence, Presence::Draining(_)));
    let leases = nodes.flat_map(|node| &node.leases);
    leases.filter_map(|id| Some((*id, network.state().leases.get(id)?)))
}

/// How far it is; not yet why something stays.
pub(super) fn drain_view(network: &Network, id: SiteId) -> Option<SiteDrain> {
    let state = network.state();
    state.sites.get(&id)?;
    let mut view = SiteDrain {
        site: id,
        draining: 0,
        open: 0,
        leases: 0,
        moving: 0,
        staying: 0,
        why_staying: Vec::new(),
    };
    for (_, node) in nodes_of(network, id) {
        view.draining += u64::from(matches!(node.presence, Presence::Draining(_)));
        view.open += u64::from(node.presence.is_open());
    }
    for (lease_id, lease) in leases_on(network, id) {
        view.leases += 1;
        if state.stays(lease_id, lease) {
            view.staying += 1;
        } else if !matches!(lease.phase, Phase::Draining(_)) {
            view.moving += 1;
        }
    }
    Some(view)
}

/// Some of what stays.
fn staying(network: &Network, id: SiteId) -> Vec<(LeaseId, NodeKey)> {
    let stays = leases_on(network, id).filter(|(id, lease)| network.state().stays(*id, lease));
    let stays = stays.map(|(id, lease)| (id, lease.node));
    stays.take(EXPLAINED).collect()
}

/// Why a lease stays. A provider is told nothing of what its tenant allows or can pay.
fn why(network: &Network, caller: &Caller, lease: LeaseId) -> String {
    if !matches!(caller.owner, KeyOwner::Operator) {
        return "it has no other place on its tenant's terms yet; it is tried again".to_owned();
    }
    if network.state().is_of_gang(lease) {
        return "it is one of a gang, which does not move: deploy the workload again elsewhere"
            .to_owned();
    }
    network.why_staying(lease).map_or_else(
        || {
            "there is room: it is tried again soon, and goes if its project can pay for two leases \
             at once"
                .to_owned()
        },
        |why| why.to_string(),
    )
}

/// How far it is, and why what stays does so.
async fn explained(api: &Api, caller: &Caller, id: SiteId) -> Result<SiteDrain, Problem> {
    let core = &api.app.core;
    let found = core.read(|network| Some((drain_view(network, id)?, staying(network, id))));
    let (mut view, staying) = found.ok_or_else(|| Problem::not_found("site", id))?;
    for (lease, node) in staying {
        let caller = caller.clone();
        let look = move |core: &Core| core.read(|network| why(network, &caller, lease));
        let why = core.look(look).await;
        let why = why.unwrap_or_else(|| "too many ask at once: ask again".to_owned());
        view.why_staying.push(Staying { lease, node, why });
    }
    Ok(view)
}

/// A site that the caller may see.
fn seen(api: &Api, caller: &Caller, id: SiteId) -> Result<(), Problem> {
    let owner = api.app.core.read(|network| {
        let site = network.state().sites.get(&id);
        site.map(|site| site.provider)
    });
    let seen = owner.is_some_and(|owner| caller.sees_provider(owner));
    seen.then_some(())
        .ok_or_else(|| Problem::not_found("site", id))
}

/// Moves the leases of all nodes of a site away at once and gives these no new ones, until that is ended
/// (`DELETE`). Scope `supply`.
#[utoipa::path(post, path = "/v1/sites/{id}/drain", tag = "providers", security(("key" = [])),
    params(("id" = String, Path, description = "The site")),
    responses((status = 200, body = SiteDrain)))]
async fn drain_site(
    State(api): State<Api>,
    caller: Caller,
    once: Once,
    Id(site): Id<SiteId>,
) -> Result<Response, Problem> {
    change(&api, &caller, once, (site, Command::DrainSite { site })).await
}

/// The nodes of a site that drain take leases again; what moves already goes on moving. Scope
/// `supply`.
#[utoipa::path(delete, path = "/v1/sites/{id}/drain", tag = "providers", security(("key" = [])),
    params(("id" = String, Path, description = "The site")),
    responses((status = 200, body = SiteDrain)))]
async fn resume_site(
    State(api): State<Api>,
    caller: Caller,
    once: Once,
    Id(site): Id<SiteId>,
) -> Result<Response, Problem> {
    change(&api, &caller, once, (site, Command::ResumeSite { site })).await
}

/// What only a site's provider may ask of it; answers how far the site is.
async fn change(
    api: &Api,
    caller: &Caller,
    once: Once,
    (site, command): (SiteId, Command),
) -> Result<Response, Problem> {
    caller.needs(Scope::Supply)?;
    seen(api, caller, site)?;
    let (status, thing) = (StatusCode::OK, Thing::SiteDrain(site));
    Act::new(api, once).commit(command, status, &thing).await?;
    let view = explained(api, caller, site).await?;
    let body = serde_json::to_value(view).map_err(|error| Problem::internal(&error))?;
    Ok(respond(status, body))
}

/// How far a site is that drains. Scope `read`.
#[utoipa::path(get, path = "/v1/sites/{id}/drain", tag = "providers", security(("key" = [])),
    params(("id" = String, Path, description = "The site")),
    responses((status = 200, body = SiteDrain)))]
async fn site_drain(
    State(api): State<Api>,
    caller: Caller,
    Id(site): Id<SiteId>,
) -> Result<Json<SiteDrain>, Problem> {
    caller.needs(Scope::Read)?;
    seen(&api, &caller, site)?;
    explained(&api, &caller, site).await.map(Json)
}
