//! Everything a request needs, in one place that all tasks share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use remuda_link::Clock;
use remuda_routing::RateLimiter;
use remuda_tokens::Constraints;
use remuda_types::{NodeKey, RequestId};
use remuda_wire::gateway::{GatewayRequest, ReplicaRoute, RouteTable, Sighting};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::control_link::ControlLink;
use crate::entropy::entropy;
use crate::fleet::Fleet;
use crate::kept::Responses;
use crate::metrics::Metrics;
use crate::models::Models;
use crate::money::Treasury;
use crate::node_link::{Channel, Nodes, Waits};
use crate::request::{OpenRequests, open};
use crate::spool::Spool;
use crate::table::Table;

/// A gateway's inside.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) table: Table,
    pub(crate) fleet: Fleet,
    pub(crate) limiter: Mutex<RateLimiter>,
    pub(crate) treasury: Treasury,
    pub(crate) spool: Spool,
    pub(crate) models: Arc<Models>,
    /// What constraints are checked with.
    pub(crate) constraints: Arc<Constraints>,
    /// As many constraints are compiled at once; fewer than there are cores, where there are several.
    pub(crate) compilers: Arc<Semaphore>,
    /// As many texts are encoded at once.
    pub(crate) encoders: Arc<Semaphore>,
    pub(crate) nodes: Nodes,
    pub(crate) control: ControlLink,
    pub(crate) responses: Arc<Responses>,
    pub(crate) open: OpenRequests,
    pub(crate) metrics: Metrics,
    /// All tasks but those of requests.
    pub(crate) tasks: TaskTracker,
    /// One task for each request.
    pub(crate) requests: TaskTracker,
    /// Nothing new is admitted any longer.
    pub(crate) closing: AtomicBool,
    /// Requests that still run are cut off.
    pub(crate) cut: CancellationToken,
    /// Tasks end.
    pub(crate) stop: CancellationToken,
}

impl Gateway {
    /// Puts a route table in force, unless it is older than the one that is.
    pub(crate) fn take_table(self: &Arc<Self>, table: RouteTable) -> bool {
        let clock = table.clock;
        // The routes first: a replica that is picked must be found in them.
        if !self.table.replace(table) {
            return false;
        }
        self.clock.hear(clock);
        let now = self.clock.now();
        let view = self.table.view();
        self.fleet.update(&view.routes, now);
        self.limiter
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(&view.keys);
        let digests: BTreeSet<_> = view.routes.models.iter().map(|model| model.model).collect();
        self.models.retain(&digests);
        self.prepare();
        true
    }

    /// Dials the nodes that serve and loads their models, before the first request needs them.
    pub(crate) fn prepare(self: &Arc<Self>) {
        let view = self.table.view();
        self.nodes.retain(|node| view.addresses(node).is_some());
        let serving: BTreeMap<_, _> = view.serving().map(|route| (route.node, route)).collect();
        for route in serving.into_values().cloned() {
            self.tasks.spawn(Arc::clone(self).connect(route));
        }
        for route in view.routes.models.clone() {
            let (models, wait) = (Arc::clone(&self.models), self.config.limits.model_wait);
            self.tasks
                .spawn(async move { drop(models.get(&route, wait).await) });
        }
    }

    /// Connects to a replica's node and shows it the replica's grant at once: nodes close
    /// connections that show none.
    async fn connect(self: Arc<Self>, route: ReplicaRoute) {
        let node = route.node;
        match self.nodes.prepare(node, &route.addresses).await {
            Ok(None) => {}
            Ok(Some(dialled)) => {
                let within = self.config.limits.dial_within;
                let waits = Waits {
                    node: within,
                    engine: within,
                };
                let shown = open(&route, self.request_id());
                // Whether the engine answers is the requests' concern.
                let probed = Channel::probe(dialled, shown, waits).await;
                tracing::debug!(%node, ?probed, "a node was shown a grant");
            }
            Err(error) => {
                tracing::debug!(%node, %error, "a node that should serve cannot be reached");
                self.sight(node, false);
            }
        }
    }

    /// Tells control whether a node answers this gateway; nobody waits for that.
    pub(crate) fn sight(self: &Arc<Self>, node: NodeKey, answered: bool) {
        let gateway = Arc::clone(self);
        self.tasks.spawn(async move {
            let sighting = GatewayRequest::Sighting(Sighting { node, answered });
            if let Err(error) = gateway.control.ask(sighting).await {
                tracing::debug!(%error, %node, "control was not told of a sighting");
            }
        });
    }

    /// A new id for what is asked of a replica.
    pub(crate) fn request_id(&self) -> RequestId {
        RequestId::new(self.clock.now(), entropy())
    }

    /// Whether requests are admitted.
    pub(crate) fn is_open(&self) -> bool {
        !self.closing.load(Ordering::Relaxed)
    }
}
