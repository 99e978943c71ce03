//! Connections to nodes: dialled once, kept alive, dialled again when they are gone.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use remuda_link::{Connection, DialError, Endpoint, EndpointId, Stream, dial};
use remuda_types::NodeKey;
use remuda_wire::probe::Ping;
use remuda_wire::{ALPN_INFER, ALPN_PROBE};
use tokio::sync::{Mutex as AsyncMutex, MutexGuard};

use crate::entropy::random;

/// All connections for inference.
#[derive(Debug)]
pub(crate) struct Nodes {
    endpoint: Endpoint,
    dial_within: Duration,
    slots: Mutex<BTreeMap<NodeKey, Arc<Slot>>>,
}

/// One node's connection. The lock is held while dialling, so that many requests dial once.
type Slot = AsyncMutex<Option<Connection>>;

/// Why there is no connection to a node.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReachError {
    #[error("the node's key is not a point of its curve")]
    NotAKey,
    #[error(transparent)]
    Dial(#[from] DialError),
}

impl Nodes {
    pub(crate) fn new(endpoint: Endpoint, dial_within: Duration) -> Self {
        Self {
            endpoint,
            dial_within,
            slots: Mutex::default(),
        }
    }

    /// A live connection to the node.
    pub(crate) async fn reach(
        &self,
        node: NodeKey,
        addresses: &[SocketAddr],
    ) -> Result<Connection, ReachError> {
        let slot = self.slot(node);
        let held = slot.lock().await;
        match live(held.as_ref()) {
            Some(live) => Ok(live),
            None => self.renew(held, node, addresses).await,
        }
    }

    /// Sees to it that there is one, unless somebody does already. Gives it when it is new.
    pub(crate) async fn prepare(
        &self,
        node: NodeKey,
        addresses: &[SocketAddr],
    ) -> Result<Option<Connection>, ReachError> {
        let slot = self.slot(node);
        match slot.try_lock() {
            Ok(held) if live(held.as_ref()).is_none() => {
                self.renew(held, node, addresses).await.map(Some)
            }
            Ok(_) | Err(_) => Ok(None),
        }
    }

    async fn renew(
        &self,
        mut held: MutexGuard<'_, Option<Connection>>,
        node: NodeKey,
        addresses: &[SocketAddr],
    ) -> Result<Connection, ReachError> {
        let dialled = self.dial(node, addresses, ALPN_INFER).await?;
        *held = Some(dialled.clone());
        Ok(dialled)
    }

    /// Forgets the nodes that the table no longer has; their requests keep the connection.
    pub(crate) fn retain(&self, keep: impl Fn(NodeKey) -> bool) {
        self.slots
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|node, _| keep(*node));
    }

    /// Whether the node's daemon answers, over a connection of its own: the way control asks, too.
    pub(crate) async fn ping(&self, node: NodeKey, addresses: &[SocketAddr]) -> bool {
        let ping = Ping {
            nonce: u64::from_le_bytes(random()),
        };
        let asked = async {
            let connection = self.dial(node, addresses, ALPN_PROBE).await.ok()?;
            Stream::<Ping, Ping>::open(&connection)
                .await
                .ok()?
                .ask(&ping)
                .await
                .ok()
        };
        tokio::time::timeout(self.dial_within, asked)
            .await
            .ok()
            .flatten()
            == Some(ping)
    }

    async fn dial(
        &self,
        node: NodeKey,
        addresses: &[SocketAddr],
        alpn: &[u8],
    ) -> Result<Connection, ReachError> {
        let peer = EndpointId::from_bytes(&node.0).map_err(|_| ReachError::NotAKey)?;
        Ok(dial(&self.endpoint, peer, addresses, alpn, self.dial_within).await?)
    }

    fn slot(&self, node: NodeKey) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry(node).or_default())
    }
}

/// The connection of a slot, unless it is gone.
fn live(slot: Option<&Connection>) -> Option<Connection> {
    slot.filter(|open| open.close_reason().is_none()).cloned()
}
