//! Nodes, and what of them could be rented now.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use remuda_network::placement::{Free, NodeOffer};
use remuda_network::state::{KeyOwner, Node as StateNode, Scope};
use remuda_network::{Command, Network};
use remuda_types::{Class, Country, NodeKey};
use remuda_wire::api::node::{Free as ApiFree, Node, Offer};
use remuda_wire::api::{Page, PageQuery, UsdPerHour};
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::act::Act;
use super::auth::Caller;
use super::body::{Id, Params};
use super::leases;
use super::once::Once;
use super::page::{self, Window};
use super::problem::Problem;
use super::thing::Thing;
use crate::core::Core;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(get))
        .routes(routes!(drain, resume))
        .routes(routes!(offers))
}

fn free(of: &Free) -> ApiFree {
    let whole = of
        .gpus_milli()
        .iter()
        .filter(|milli| **milli == 1_000)
        .count();
    ApiFree {
        whole_gpus: u32::try_from(whole).unwrap_or(u32::MAX),
        gpu_milli: of.gpus_milli().iter().map(|milli| u64::from(*milli)).sum(),
        cpu_milli: of.cpu_milli(),
        memory_mib: of.memory_mib(),
        disk_mib: of.disk_mib(),
    }
}

pub(super) fn view(network: &Network, id: NodeKey) -> Option<Node> {
    let node = network.state().nodes.get(&id)?;
    let site = network.state().sites.get(&node.site)?;
    Some(Node {
        id,
        provider: node.provider,
        site: node.site,
        country: site.country,
        class: node.class,
        capacity: node.capacity,
        free: network
            .index()
            .fleet()
            .free(id)
            .map(free)
            .unwrap_or_default(),
        price_usd_per_hour: UsdPerHour(node.price),
        presence: node.presence.as_str().to_owned(),
        since_ms: node.presence.since().as_millis(),
        enrolled_ms: node.enrolled.as_millis(),
        leases: node.leases.iter().copied().collect(),
    })
}

/// A node as the caller may see it: leases of others are not named.
fn shown(caller: &Caller, network: &Network, id: NodeKey) -> Option<Node> {
    let mut node = view(network, id)?;
    let leases = &network.state().leases;
    node.leases.retain(|id| {
        leases
            .get(id)
            .is_some_and(|lease| leases::sees(caller, lease))
    });
    Some(node)
}

/// The operator sees all nodes, a provider its own, a project those it has a lease on.
fn sees(caller: &Caller, network: &Network, node: &StateNode) -> bool {
    match caller.owner {
        KeyOwner::Operator => true,
        KeyOwner::Provider(provider) => node.provider == provider,
        KeyOwner::Project(project) => node.leases.iter().any(|lease| {
            network
                .state()
                .leases
                .get(lease)
                .is_some_and(|lease| lease.project == project)
        }),
    }
}

/// Nodes: the operator sees all, a provider its own, a project those it has a lease on. Scope `read`.
#[utoipa::path(get, path = "/v1/nodes", tag = "nodes", security(("key" = [])),
    params(PageQuery), responses((status = 200, body = Page<Node>)))]
async fn list(
    State(api): State<Api>,
    caller: Caller,
    Params(query): Params<PageQuery>,
) -> Result<Json<Page<Node>>, Problem> {
    caller.needs(Scope::Read)?;
    let window = Window::of(&query)?;
    Ok(Json(api.app.core.read(|network| {
        page::of_map(&network.state().nodes, &window, |id, node| {
            sees(&caller, network, node)
                .then(|| shown(&caller, network, id))
                .flatten()
        })
    })))
}

fn seen(api: &Api, caller: &Caller, id: NodeKey) -> Result<Node, Problem> {
    let found = api.app.core.read(|network| {
        let node = network.state().nodes.get(&id)?;
        sees(caller, network, node)
            .then(|| shown(caller, network, id))
            .flatten()
    });
    found.ok_or_else(|| Problem::not_found("node", id))
}

/// A node. Scope `read`.
#[utoipa::path(get, path = "/v1/nodes/{id}", tag = "nodes", security(("key" = [])),
    params(("id" = String, Path, description = "The node")), responses((status = 200, body = Node)))]
async fn get(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<NodeKey>,
) -> Result<Json<Node>, Problem> {
    caller.needs(Scope::Read)?;
    seen(&api, &caller, id).map(Json)
}

/// Moves a node's leases away and gives it no new ones. Scope `supply`.
#[utoipa::path(post, path = "/v1/nodes/{id}/drain", tag = "nodes", security(("key" = [])),
    params(("id" = String, Path, description = "The node")), responses((status = 200, body = Node)))]
async fn drain(
    State(api): State<Api>,
    caller: Caller,
    once: Once,
    Id(node): Id<NodeKey>,
) -> Result<Response, Problem> {
    change(&api, &caller, once, (node, Command::DrainNode { node })).await
}

/// A node that drains takes leases again; what moves already goes on moving. Scope `supply`.
#[utoipa::path(delete, path = "/v1/nodes/{id}/drain", tag = "nodes", security(("key" = [])),
    params(("id" = String, Path, description = "The node")), responses((status = 200, body = Node)))]
async fn resume(
    State(api): State<Api>,
    caller: Caller,
    once: Once,
    Id(node): Id<NodeKey>,
) -> Result<Response, Problem> {
    change(&api, &caller, once, (node, Command::ResumeNode { node })).await
}

/// What only a node's provider may ask of it.
async fn change(
    api: &Api,
    caller: &Caller,
    once: Once,
    (node, command): (NodeKey, Command),
) -> Result<Response, Problem> {
    caller.needs(Scope::Supply)?;
    let known = seen(api, caller, node)?;
    if !caller.sees_provider(known.provider) {
        return Err(Problem::wrong_owner("a key of the node's provider"));
    }
    let act = Act::new(api, once);
    act.answer(command, StatusCode::OK, Thing::Node(node)).await
}

/// Which offers.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct OfferFilter {
    /// Of this class only.
    #[param(value_type = Option<String>)]
    class: Option<Class>,
    /// In this country only.
    #[param(value_type = Option<String>)]
    country: Option<Country>,
}

/// What could be rented now. Scope `read`.
#[utoipa::path(get, path = "/v1/offers", tag = "nodes", security(("key" = [])),
    params(PageQuery, OfferFilter), responses((status = 200, body = Page<Offer>)))]
async fn offers(
    State(api): State<Api>,
    caller: Caller,
    Params(query): Params<PageQuery>,
    Params(filter): Params<OfferFilter>,
) -> Result<Json<Page<Offer>>, Problem> {
    caller.needs(Scope::Read)?;
    let window = Window::<NodeKey>::of(&query)?;
    let core = &api.app.core;
    Ok(Json(core.read(|network| {
        let offers = network.index().fleet().offers();
        let rest = offers.filter(|of| window.after.is_none_or(|after| of.node > after));
        let wanted = rest.filter(|of| filter.class.is_none_or(|class| of.class == class));
        let wanted = wanted.filter(|of| filter.country.is_none_or(|country| of.country == country));
        window.fill(wanted.filter_map(|of| Some((of.node, offer(core, network, &of)?))))
    })))
}

/// An offer, if the node takes leases and has something left.
fn offer(core: &Core, network: &Network, of: &NodeOffer) -> Option<Offer> {
    let fleet = network.index().fleet();
    let left = fleet.free(of.node).map(free)?;
    let open = fleet.is_open(of.node)? && left.cpu_milli > 0 && left.memory_mib > 0;
    let provider = network.state().providers.get(&of.provider)?;
    open.then(|| Offer {
        node: of.node,
        provider: of.provider,
        provider_name: core.vault().text(provider.label),
        site: of.site,
        country: of.country,
        class: of.class,
        gpu_memory_mib: of.capacity.gpu_memory_mib,
        free: left,
        price_usd_per_hour: UsdPerHour(of.price),
    })
}
