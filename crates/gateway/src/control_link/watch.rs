//! Keeps a watch open at control, for ever: dials, listens, and dials again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use remuda_link::{Connection, DialError, Receiver, Stream, StreamError, dial};
use remuda_types::NodeKey;
use remuda_wire::ALPN_GATEWAY;
use remuda_wire::frame::MAX_STATE_FRAME_BYTES;
use remuda_wire::gateway::{GatewayRefused, GatewayReply, GatewayRequest, RouteTable, Watch};

use crate::gateway::Gateway;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// Why a watch ended.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error(transparent)]
    Stream(#[from] StreamError),
    #[error("control refuses this gateway: {}", .0.detail)]
    Refused(GatewayRefused),
    #[error("control ended the watch")]
    Ended,
}

/// Watches until the gateway stops.
pub(crate) async fn keep(gateway: Arc<Gateway>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let mut heard = false;
        let lost = tokio::select! {
            lost = watch(&gateway, &mut heard) => lost,
            () = gateway.stop.cancelled() => return,
        };
        gateway.control.connection.send_replace(None);
        if heard {
            pause = FIRST_PAUSE;
        }
        if let Err(error) = lost {
            tracing::warn!(%error, retry_in_ms = pause.as_millis(), "control is not connected; serving from the last route table");
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = gateway.stop.cancelled() => return,
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn watch(gateway: &Arc<Gateway>, heard: &mut bool) -> Result<(), Lost> {
    let link = &gateway.control;
    let (peer, addresses) = (link.address.endpoint, &link.address.addresses);
    let connection = dial(&link.endpoint, peer, addresses, ALPN_GATEWAY, link.within).await?;
    let stream = Stream::<GatewayReply, GatewayRequest>::open(&connection).await?;
    let mut stream = stream.up_to(MAX_STATE_FRAME_BYTES);
    let hello = Watch {
        admission: gateway.config.admission.clone(),
        public_url: gateway.config.public_url.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    stream.sender.send(&GatewayRequest::Watch(hello)).await?;
    listen(gateway, connection, &mut stream.receiver, heard).await
}

async fn listen(
    gateway: &Arc<Gateway>,
    connection: Connection,
    pushed: &mut Receiver<GatewayReply>,
    heard: &mut bool,
) -> Result<(), Lost> {
    while let Some(push) = pushed.receive().await? {
        match push {
            GatewayReply::Routes(table) => {
                take(gateway, *table);
                if !std::mem::replace(heard, true) {
                    tracing::info!("control is connected");
                    gateway
                        .control
                        .connection
                        .send_replace(Some(connection.clone()));
                    gateway.treasury.wake();
                }
            }
            GatewayReply::Probe(node) => probe(gateway, node),
            GatewayReply::Refused(refused) => return Err(Lost::Refused(refused)),
            // Answers to other questions; nothing asked them here.
            GatewayReply::Tranche(_) | GatewayReply::Posted | GatewayReply::Done => {}
        }
    }
    Err(Lost::Ended)
}

fn take(gateway: &Arc<Gateway>, table: RouteTable) {
    let (epoch, seq) = (table.epoch, table.seq);
    if !gateway.take_table(table) {
        tracing::error!(
            epoch,
            seq,
            "control sent a route table that is older than the one in force, which stays; if control was set up anew, remove the gateway's routes.cbor and restart it"
        );
        return;
    }
    let gateway = Arc::clone(gateway);
    let save = move || {
        if let Err(error) = gateway.table.save() {
            tracing::warn!(%error, "the route table could not be saved; a restart without control would serve the one before");
        }
    };
    // One write at a time; each saves the newest.
    drop(tokio::task::spawn_blocking(save));
}

fn probe(gateway: &Arc<Gateway>, node: NodeKey) {
    let view = gateway.table.view();
    let Some(addresses) = view.addresses(node).map(<[SocketAddr]>::to_vec) else {
        return; // A node that this gateway cannot dial: it has nothing to say of it.
    };
    let asker = Arc::clone(gateway);
    gateway.tasks.spawn(async move {
        let answered = asker.nodes.ping(node, &addresses).await;
        asker.sight(node, answered);
    });
}
