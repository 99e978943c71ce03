//! What an answer is about: named by its id, shown as it is now.

use std::fmt;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use remuda_types::{ApiKeyId, NodeKey, ProjectId, ProviderId, SiteId, TenantId, WorkloadId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::once::Promise;
use super::{Api, keys, models, nodes, providers, sites, tenants, workloads};

/// What a request changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "id", rename_all = "kebab-case")]
pub(super) enum Thing {
    Tenant(TenantId),
    Project(ProjectId),
    Provider(ProviderId),
    Site(SiteId),
    SiteDrain(SiteId),
    Node(NodeKey),
    Model(String),
    Key(ApiKeyId),
    Workload(WorkloadId),
    Order(WorkloadId),
    Reservation(WorkloadId),
    /// The answer has no body.
    Nothing,
}

impl Thing {
    /// The thing as it is now; nothing when it is over. `promise` is the request's that made it.
    pub(super) fn view(&self, api: &Api, promise: Option<&Promise>) -> Option<Value> {
        let core = &api.app.core;
        match self {
            Self::Tenant(id) => json(core.read(|network| tenants::view(core, network, *id))?),
            Self::Project(id) => {
                json(core.read(|network| tenants::project_view(core, network, *id))?)
            }
            Self::Provider(id) => json(core.read(|network| providers::view(core, network, *id))?),
            Self::Site(id) => json(core.read(|network| providers::site_view(core, network, *id))?),
            Self::SiteDrain(id) => json(core.read(|network| sites::drain_view(network, *id))?),
            Self::Node(id) => json(core.read(|network| nodes::view(network, *id))?),
            Self::Model(name) => json(core.read(|network| models::view(core, network, name))?),
            Self::Key(id) => json(keys::issued(api, *id, promise)?),
            Self::Workload(id) => json(core.read(|network| workloads::view(core, network, *id))?),
            Self::Order(id) => {
                json(core.read(|network| workloads::order_view(core, network, *id))?)
            }
            Self::Reservation(id) => {
                json(core.read(|network| workloads::reservation_view(core, network, *id))?)
            }
            Self::Nothing => Some(Value::Null),
        }
    }
}

fn json(view: impl Serialize) -> Option<Value> {
    serde_json::to_value(view).ok()
}

/// The answer that shows a thing.
pub(super) fn respond(status: StatusCode, view: Value) -> Response {
    if view.is_null() {
        status.into_response()
    } else {
        (status, Json(view)).into_response()
    }
}

impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tenant(id) => id.fmt(f),
            Self::Project(id) => id.fmt(f),
            Self::Provider(id) => id.fmt(f),
            Self::Site(id) | Self::SiteDrain(id) => id.fmt(f),
            Self::Node(id) => id.fmt(f),
            Self::Model(name) => name.fmt(f),
            Self::Key(id) => id.fmt(f),
            Self::Workload(id) | Self::Order(id) | Self::Reservation(id) => id.fmt(f),
            Self::Nothing => f.write_str("nothing"),
        }
    }
}
