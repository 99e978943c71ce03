//! Sessions: nodes and gateways that are connected, and the door they come in by.
//!
//! Control speaks by level: a node is told its whole assignment, a gateway its whole route table,
//! whenever the follower's state says something new. Nothing that must be true depends on a message
//! having been seen.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use remuda_link::{
    Allowance, BindError, Connection, Endpoint, EndpointId, Patience, SecretKey, Stream,
};
use remuda_types::{GatewayKey, LeaseId, NodeKey};
use remuda_wire::gateway::GatewayReply;
use remuda_wire::grant::{Grant, SIGNING_DOMAIN, SignedGrant};
use remuda_wire::node::{LogsRequest, NodeReply, NodeRequest};
use remuda_wire::probe::Ping;
use remuda_wire::{ALPN_GATEWAY, ALPN_NODE, ALPN_PROBE};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::core::Core;
use crate::detector::DetectorHandle;

mod assignment;
mod gateway;
mod node;
mod routes;

/// How long a node may take to answer a question.
const ANSWER_WITHIN: Duration = Duration::from_millis(600);

/// Between keep-alives of control's own. Nodes and gateways keep their connections alive by
/// themselves, more often than that; so this is heard only where they fall silent, and costs nothing
/// for thousands that do not.
const KEEP_ALIVE: Duration = Duration::from_secs(2);

/// How long a node may take to send its logs.
const LOGS_WITHIN: Duration = Duration::from_secs(5);

/// Who is connected. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sessions {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    endpoint: Endpoint,
    key: SecretKey,
    nodes: RwLock<BTreeMap<NodeKey, NodeSession>>,
    gateways: RwLock<BTreeMap<GatewayKey, GatewaySession>>,
    changed: watch::Sender<u64>,
}

/// A node that is or was connected.
#[derive(Clone, Debug)]
struct NodeSession {
    boot: u64,
    /// Counts the node's sessions, so that the end of an old one is told from the newest's.
    number: u64,
    /// Gone when the session is.
    connection: Option<Connection>,
    addresses: Vec<SocketAddr>,
    description: String,
    /// When it last reported, in milliseconds of control's clock.
    heard_ms: Arc<AtomicU64>,
}

#[derive(Clone, Debug)]
struct GatewaySession {
    number: u64,
    public_url: String,
    push: mpsc::Sender<GatewayReply>,
}

/// What a session needs of control.
#[derive(Clone, Debug)]
pub(crate) struct Doors {
    pub(crate) core: Core,
    pub(crate) sessions: Sessions,
    pub(crate) detector: DetectorHandle,
}

/// Why a node's logs cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogsError {
    /// No session.
    #[error("node {0} is not connected: its logs are on the machine")]
    Away(NodeKey),
    /// No answer in time.
    #[error("node {0} did not answer: try again")]
    Silent(NodeKey),
    /// The node has nothing of this lease.
    #[error("the node retains no run of lease {0}")]
    Unknown(LeaseId),
}

/// Binds control's endpoint.
pub(crate) async fn bind(config: &Config, key: SecretKey) -> Result<Endpoint, BindError> {
    remuda_link::bind(remuda_link::Config {
        key,
        bind: config.iroh,
        alpns: vec![ALPN_NODE.to_vec(), ALPN_GATEWAY.to_vec()],
        relays: Vec::new(),
        patience: Patience {
            keep_alive: KEEP_ALIVE,
            ..Patience::default()
        },
        allowance: Allowance::PEER,
    })
    .await
}

/// Takes connections until told to stop.
pub(crate) async fn accept(doors: Doors, tasks: TaskTracker, stop: CancellationToken) {
    let endpoint = doors.sessions.endpoint().clone();
    loop {
        let incoming = tokio::select! {
            incoming = endpoint.accept() => incoming,
            () = stop.cancelled() => return,
        };
        let Some(incoming) = incoming else { return };
        let (doors, stop) = (doors.clone(), stop.clone());
        tasks.spawn(async move {
            let Ok(connection) = incoming.await else {
                return;
            };
            let session = serve(doors, connection);
            tokio::select! {
                () = session => {}
                () = stop.cancelled() => {}
            }
        });
    }
}

async fn serve(doors: Doors, connection: Connection) {
    if connection.alpn() == ALPN_NODE {
        node::serve(doors, connection).await;
    } else {
        gateway::serve(doors, connection).await;
    }
}

impl Sessions {
    pub(crate) fn new(endpoint: Endpoint, secret: &[u8; 32]) -> Self {
        Self {
            inner: Arc::new(Inner {
                endpoint,
                key: SecretKey::from_bytes(secret),
                nodes: RwLock::default(),
                gateways: RwLock::default(),
                changed: watch::Sender::new(0),
            }),
        }
    }

    /// Control's endpoint.
    pub fn endpoint(&self) -> &Endpoint {
        &self.inner.endpoint
    }

    /// The key that nodes check grants with.
    pub(crate) fn grant_key(&self) -> [u8; 32] {
        *self.inner.key.public().as_bytes()
    }

    /// Signs a route grant.
    ///
    /// # Panics
    /// Never: encoding into memory cannot fail.
    #[expect(clippy::expect_used, reason = "writing to a Vec has no error")]
    pub(crate) fn sign(&self, grant: &Grant) -> SignedGrant {
        let grant = minicbor::to_vec(grant).expect("writing to memory does not fail");
        let signature = self.inner.key.sign(&[SIGNING_DOMAIN, &grant].concat());
        SignedGrant {
            grant,
            signature: signature.to_bytes().to_vec(),
        }
    }

    /// Told whenever a session begins or ends.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changed.subscribe()
    }

    fn tell(&self) {
        self.inner
            .changed
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Where a node can be dialled, as it last said.
    pub fn addresses(&self, node: &NodeKey) -> Vec<SocketAddr> {
        self.node(node)
            .map(|session| session.addresses)
            .unwrap_or_default()
    }

    /// What a node said of its hardware.
    pub fn description(&self, node: &NodeKey) -> Option<String> {
        self.node(node).map(|session| session.description)
    }

    /// Whether a node has a session now.
    pub fn is_connected(&self, node: &NodeKey) -> bool {
        self.connection(node).is_some()
    }

    /// Gateways that are connected, and where clients reach them.
    pub fn gateways(&self) -> Vec<(GatewayKey, String)> {
        let gateways = self
            .inner
            .gateways
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        gateways
            .iter()
            .map(|(key, session)| (*key, session.public_url.clone()))
            .collect()
    }

    /// The last lines of a lease's run, from its node.
    pub async fn logs(
        &self,
        node: NodeKey,
        lease: LeaseId,
        tail: u32,
    ) -> Result<Vec<String>, LogsError> {
        let connection = self.connection(&node).ok_or(LogsError::Away(node))?;
        let request = NodeRequest::Logs(LogsRequest { lease, tail });
        match ask(&connection, &request, LOGS_WITHIN).await {
            Some(NodeReply::Logs(lines)) => Ok(lines),
            Some(NodeReply::Unknown) => Err(LogsError::Unknown(lease)),
            Some(NodeReply::Pong(_)) | None => Err(LogsError::Silent(node)),
        }
    }

    /// Whether a node answers: in its session, or else by a fresh connection.
    pub(crate) async fn ping(&self, node: NodeKey, nonce: u64) -> bool {
        let ping = Ping { nonce };
        if let Some(connection) = self.connection(&node) {
            let answer = ask(&connection, &NodeRequest::Ping(ping), ANSWER_WITHIN).await;
            return answer == Some(NodeReply::Pong(ping));
        }
        let dialled = async {
            let peer = EndpointId::from_bytes(&node.0).ok()?;
            let addresses = self.addresses(&node);
            let endpoint = self.endpoint();
            let connection =
                remuda_link::dial(endpoint, peer, &addresses, ALPN_PROBE, ANSWER_WITHIN);
            let connection = connection.await.ok()?;
            Stream::<Ping, Ping>::open(&connection)
                .await
                .ok()?
                .ask(&ping)
                .await
                .ok()
        };
        tokio::time::timeout(ANSWER_WITHIN, dialled)
            .await
            .ok()
            .flatten()
            == Some(ping)
    }

    /// Asks one of the gateways to probe a node; which, is spread by `attempt`.
    pub(crate) fn probe_from_gateway(&self, node: NodeKey, attempt: u32) {
        let gateways = self
            .inner
            .gateways
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        if gateways.is_empty() {
            return;
        }
        let chosen = gateways.values().nth(attempt as usize % gateways.len());
        if let Some(gateway) = chosen {
            // A gateway that does not keep up gives no answer: the probe times out.
            gateway
                .push
                .try_send(GatewayReply::Probe(node))
                .unwrap_or_default();
        }
    }

    fn node(&self, node: &NodeKey) -> Option<NodeSession> {
        let nodes = self
            .inner
            .nodes
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        nodes.get(node).cloned()
    }

    fn connection(&self, node: &NodeKey) -> Option<Connection> {
        self.node(node).and_then(|session| session.connection)
    }

    /// Notes a node's new session; returns its number.
    fn node_joined(&self, node: NodeKey, session: NodeSession) -> u64 {
        let mut nodes = self
            .inner
            .nodes
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let number = nodes
            .get(&node)
            .map_or(1, |before| before.number.wrapping_add(1));
        let replaced = nodes.insert(node, NodeSession { number, ..session });
        drop(nodes);
        if let Some(connection) = replaced.and_then(|session| session.connection) {
            connection.close(1_u32.into(), b"replaced by a newer session");
        }
        self.tell();
        number
    }

    /// Ends the session of a node that was judged lost, if it has one still: its leases are placed
    /// elsewhere, and only by a new session is it watched again.
    pub(crate) fn end(&self, node: &NodeKey) {
        if let Some(connection) = self.connection(node) {
            connection.close(2_u32.into(), b"judged lost: begin a new session");
        }
    }

    /// Notes that a session ended; says whether it was the node's newest.
    fn node_parted(&self, node: NodeKey, number: u64) -> bool {
        let mut nodes = self
            .inner
            .nodes
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let newest = nodes
            .get_mut(&node)
            .filter(|session| session.number == number);
        let was_newest = newest.map(|session| session.connection = None).is_some();
        drop(nodes);
        self.tell();
        was_newest
    }
}

async fn ask(
    connection: &Connection,
    request: &NodeRequest,
    within: Duration,
) -> Option<NodeReply> {
    let answered = async {
        let mut stream = Stream::<NodeReply, NodeRequest>::open(connection)
            .await
            .ok()?;
        stream.ask(request).await.ok()
    };
    tokio::time::timeout(within, answered).await.ok().flatten()
}
