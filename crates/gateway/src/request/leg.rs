//! The way to the replica that works on a request, from the queue to its frames.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::{BoxFuture, pending};
use remuda_routing::Denied;
use remuda_types::{LeaseId, NodeKey, RequestId};
use remuda_wire::gateway::ReplicaRoute;
use remuda_wire::infer::{Ask, Open, Reply};

use crate::fleet::Ticket;
use crate::gateway::Gateway;
use crate::node_link::{Channel, Lost};

/// How far the way is made.
#[expect(
    clippy::large_enum_variant,
    reason = "one for each request, never many beside each other"
)]
pub(super) enum Leg {
    /// There is none.
    Idle,
    /// A replica is waited for.
    Waiting(Ticket),
    /// Its node is being reached and asked.
    Dialling {
        at: Place,
        dial: BoxFuture<'static, Result<Channel, Lost>>,
    },
    /// It answers.
    Open { at: Place, channel: Channel },
}

/// A lease and the node it is on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) lease: LeaseId,
    pub(super) node: NodeKey,
}

/// What came over it.
pub(super) enum Came {
    Turn(Result<LeaseId, Denied>),
    Opened(Place, Result<Channel, Lost>),
    Reply(Place, Result<Reply, Lost>),
}

impl Leg {
    pub(super) fn dial(
        gateway: &Arc<Gateway>,
        route: &ReplicaRoute,
        request: RequestId,
        ask: Ask,
    ) -> Self {
        let at = Place {
            lease: route.lease,
            node: route.node,
        };
        let (gateway, addresses, open) = (
            Arc::clone(gateway),
            route.addresses.clone(),
            open(route, request),
        );
        let dial = async move {
            let reached = gateway.nodes.reach(at.node, &addresses).await;
            let connection = reached.map_err(|error| Lost::unreachable(at.node, &error))?;
            Channel::open(connection, open, ask).await
        };
        Self::Dialling {
            at,
            dial: dial.boxed(),
        }
    }

    /// The lease that it leads to, once that is known.
    pub(super) fn lease(&self) -> Option<LeaseId> {
        match self {
            Self::Idle | Self::Waiting(_) => None,
            Self::Dialling { at, .. } | Self::Open { at, .. } => Some(at.lease),
        }
    }

    /// The next thing that comes. Nothing is lost when it is cut off.
    pub(super) async fn next(&mut self) -> Came {
        match self {
            Self::Idle => pending().await,
            Self::Waiting(ticket) => Came::Turn(ticket.wait().await),
            Self::Dialling { at, dial } => Came::Opened(*at, dial.await),
            Self::Open { at, channel } => Came::Reply(*at, channel.receive().await),
        }
    }
}

/// The first frame to a replica.
pub(crate) fn open(route: &ReplicaRoute, request: RequestId) -> Open {
    Open {
        lease: route.lease,
        grant: route.grant.clone(),
        request,
    }
}
