//! The node's door: requests of gateways, and probes of anyone.
//!
//! Inputs: connections to the node's endpoint, the view. Output: bytes, passed on as they are. A
//! gateway's connection is known by its key; every stream on it must show a grant for that key, and
//! a connection on which none was shown is soon closed.

use std::sync::Arc;
use std::time::Duration;

use remuda_link::{Allowance, Clock, Connection, Endpoint, Receiver, Sender, Stream};
use remuda_types::{GatewayKey, NodeKey};
use remuda_wire::grant::Grant;
use remuda_wire::infer::{Open, Refused, RefusedReason, Reply};
use remuda_wire::probe::Ping;
use remuda_wire::{ALPN_INFER, ALPN_PROBE};
use tokio::net::UnixStream;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::metrics::Metrics;
use crate::view::View;

mod admit;
mod grant;
mod lobby;
mod relay;

use admit::Admitted;
use lobby::{Lobby, Visitor};

/// Requests in flight through one node; the next is refused as busy.
const STREAMS_MAX: usize = 4_096;

/// How long a peer may take to send a stream's first frame.
const FIRST_WITHIN: Duration = Duration::from_secs(10);

/// The door. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    parts: Parts,
    lobby: Lobby,
    streams: Arc<Semaphore>,
}

/// What the door works with.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    /// This node.
    pub node: NodeKey,
    /// What runs here.
    pub view: watch::Receiver<Arc<View>>,
    /// Control's clock.
    pub clock: Arc<Clock>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Where its tasks are counted.
    pub tasks: TaskTracker,
    /// Cancelled when the daemon stops.
    pub stop: CancellationToken,
}

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
struct Peer {
    gateway: GatewayKey,
    connection: Connection,
    visitor: Arc<Visitor>,
}

impl Door {
    /// A door to what the view shows.
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            parts,
            lobby: Lobby::default(),
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
        }
    }

    /// Accepts connections until the daemon stops.
    pub(crate) async fn accept(self, endpoint: Endpoint) {
        loop {
            let incoming = tokio::select! {
                () = self.parts.stop.cancelled() => return,
                incoming = endpoint.accept() => incoming,
            };
            let Some(incoming) = incoming else { return };
            if self.lobby.is_crowded() && !incoming.remote_addr_validated() {
                // An error means that it was proved meanwhile; then it comes again.
                drop(incoming.retry());
                continue;
            }
            let (door, visitor) = (self.clone(), self.lobby.enter());
            self.parts.tasks.spawn(async move {
                tokio::select! {
                    () = visitor.must_leave() => tracing::debug!("a peer shakes hands too slowly"),
                    shaken = incoming => match shaken {
                        Ok(connection) => door.serve(connection, Arc::new(visitor)).await,
                        Err(error) => tracing::debug!(%error, "a peer did not shake hands"),
                    },
                }
            });
        }
    }

    async fn serve(&self, connection: Connection, visitor: Arc<Visitor>) {
        tokio::select! {
            () = self.parts.stop.cancelled() => {}
            () = visitor.must_leave() => connection.close(0_u32.into(), b"no grant was shown"),
            () = self.speak(&connection, &visitor) => {}
        }
    }

    async fn speak(&self, connection: &Connection, visitor: &Arc<Visitor>) {
        match connection.alpn() {
            ALPN_INFER => self.infer(connection, visitor).await,
            ALPN_PROBE => echo(connection).await,
            _ => {}
        }
    }

    /// Serves a gateway's requests, each on a stream of its own, until the connection ends.
    async fn infer(&self, connection: &Connection, visitor: &Arc<Visitor>) {
        let peer = Peer {
            gateway: GatewayKey(*connection.remote_id().as_bytes()),
            connection: connection.clone(),
            visitor: Arc::clone(visitor),
        };
        while let Ok((send, receive)) = connection.accept_bi().await {
            let (door, peer) = (self.clone(), peer.clone());
            let serve = async move {
                let (sender, receiver) = (Sender::new(send), Receiver::new(receive));
                door.request(&peer, sender, receiver).await;
            };
            self.parts.tasks.spawn(serve);
        }
    }

    async fn request(&self, peer: &Peer, sender: Sender<Reply>, receiver: Receiver<Open>) {
        let mut receiver = receiver;
        let Ok(first) = timeout(FIRST_WITHIN, receiver.receive()).await else {
            return refuse(
                sender,
                refused(RefusedReason::Invalid, "no first frame came"),
            )
            .await;
        };
        match first {
            Ok(Some(open)) => {
                let span =
                    tracing::info_span!("infer", request = %open.request, lease = %open.lease);
                self.answer(peer, &open, sender, receiver)
                    .instrument(span)
                    .await;
            }
            Ok(None) => {}
            Err(error) => {
                refuse(sender, refused(RefusedReason::Invalid, &error.to_string())).await;
            }
        }
    }

    async fn answer(
        &self,
        peer: &Peer,
        open: &Open,
        sender: Sender<Reply>,
        receiver: Receiver<Open>,
    ) {
        match self.admitted(peer, open).await {
            Ok((admitted, engine)) => {
                self.parts.metrics.request(true);
                self.pass(&admitted, sender, receiver, engine).await;
            }
            Err(refusal) => {
                self.parts.metrics.request(false);
                tracing::debug!(reason = ?refusal.reason, detail = refusal.detail, "refused");
                refuse(sender, refusal).await;
            }
        }
    }

    async fn admitted(&self, peer: &Peer, open: &Open) -> Result<(Admitted, UnixStream), Refused> {
        let grant = self.granted(peer, open)?;
        let permit = Arc::clone(&self.streams).try_acquire_owned();
        let permit = permit.map_err(|_| busy("this node has too many requests in flight"))?;
        let admitted = admit::admit(&self.parts.view, &grant, permit)?;
        let connected = UnixStream::connect(&admitted.socket).await;
        let engine = connected
            .map_err(|_| refused(RefusedReason::Broken, "the engine does not take requests"))?;
        Ok((admitted, engine))
    }

    /// The grant that a request shows; with it the gateway's connection may stay.
    fn granted(&self, peer: &Peer, open: &Open) -> Result<Grant, Refused> {
        let expected = grant::Expected {
            node: self.parts.node,
            gateway: peer.gateway,
            lease: open.lease,
            now: self.parts.clock.now(),
        };
        let key = self.parts.view.borrow().grant_key;
        let granted = key
            .ok_or(grant::Denied::NoKey)
            .and_then(|key| grant::verify(&open.grant, &key, &expected))
            .map_err(grant::Denied::refused)?;
        if !peer.visitor.welcome(peer.gateway) {
            return Err(busy("this node has too many connections of gateways"));
        }
        remuda_link::allow(&peer.connection, Allowance::PEER);
        Ok(granted)
    }

    async fn pass(
        &self,
        admitted: &Admitted,
        sender: Sender<Reply>,
        receiver: Receiver<Open>,
        engine: UnixStream,
    ) {
        let gateway = relay::Gateway::new(sender, receiver);
        let passed = relay::relay(gateway, engine, &admitted.cut, &self.parts.metrics).await;
        if let Err(cut) = passed {
            tracing::debug!(%cut, "a request was broken off");
        }
    }
}

/// Answers pings until the connection ends.
async fn echo(connection: &Connection) {
    while let Ok(stream) = Stream::<Ping, Ping>::accept(connection).await {
        if let Err(error) = echo_on(stream).await {
            tracing::trace!(%error, "a prober left");
        }
    }
}

async fn echo_on(mut stream: Stream<Ping, Ping>) -> Result<(), remuda_link::StreamError> {
    while let Some(ping) = stream.receiver.receive().await? {
        stream.sender.send(&ping).await?;
    }
    stream.sender.finish();
    Ok(())
}

fn busy(detail: &str) -> Refused {
    refused(RefusedReason::Busy, detail)
}

fn refused(reason: RefusedReason, detail: &str) -> Refused {
    Refused {
        reason,
        detail: detail.to_owned(),
    }
}

async fn refuse(mut sender: Sender<Reply>, refusal: Refused) {
    if let Err(error) = sender.send(&Reply::Refused(refusal)).await {
        tracing::trace!(%error, "the gateway left before it was refused");
    }
    sender.finish();
}
