//! Connections of clients: so many at once, and each in time with its headers.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::gateway::Gateway;

/// After the system refused to accept, as when no file descriptor is left.
const PAUSE: Duration = Duration::from_secs(1);

/// Serves until the gateway stops, and then until the last connection has ended.
pub(super) async fn serve(listener: TcpListener, router: Router, gateway: &Gateway) {
    let limits = gateway.config.limits;
    let room = Arc::new(Semaphore::new(limits.connections));
    let connections = TaskTracker::new();
    loop {
        let (tcp, place) = tokio::select! {
            accepted = accept(&listener, &room) => accepted,
            () = gateway.stop.cancelled() => break,
        };
        let stop = gateway.stop.clone();
        let talk = talk(tcp, router.clone(), limits.head_within, stop);
        connections.spawn(async move {
            talk.await;
            drop(place);
        });
    }
    connections.close();
    connections.wait().await;
}

/// The next connection. Who comes while there is no room waits in the system's queue.
async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> (TcpStream, OwnedSemaphorePermit) {
    let Ok(place) = Arc::clone(room).acquire_owned().await else {
        return pending().await; // Nobody closes the semaphore.
    };
    loop {
        match listener.accept().await {
            Ok((tcp, _)) => return (tcp, place),
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn talk(tcp: TcpStream, router: Router, head_within: Duration, stop: CancellationToken) {
    // Tokens are small and must not wait for each other.
    if let Err(error) = tcp.set_nodelay(true) {
        tracing::debug!(%error, "a connection will delay small writes");
    }
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(head_within);
    let talk = http.serve_connection(TokioIo::new(tcp), TowerToHyperService::new(router));
    tokio::pin!(talk);
    let ended = tokio::select! {
        ended = talk.as_mut() => ended,
        () = stop.cancelled() => {
            talk.as_mut().graceful_shutdown();
            talk.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a client's connection broke");
    }
}
