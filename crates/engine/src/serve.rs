//! The engine on a unix socket: frames of `remuda_wire::infer`, one connection for each request.
//!
//! The first frame is `Ask::Start` or `Ask::Probe`; the engine answers and closes. A client that
//! closes the connection, or its sending half, cancels: the slot is free before the next step.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use remuda_wire::frame::{self, FrameError};
use remuda_wire::infer::{Ask, Refused, RefusedReason, Reply, Start};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::codec::Framed;

use crate::config::Config;
use crate::engine::{Engine, Frames, stopped};
use crate::load;

/// The most open connections; more wait in the socket's backlog.
pub const MAX_CONNECTIONS: usize = 1024;

/// How long a client may take to send its first frame.
const FIRST_FRAME_WITHIN: Duration = Duration::from_secs(10);

/// How long the last frames may take to leave at shutdown.
const LAST_FRAMES_WITHIN: Duration = Duration::from_secs(1);

/// Why serving ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The model did not load.
    #[error("the engine did not start")]
    Load(#[from] load::Error),
    /// The socket failed.
    #[error("the engine's socket failed")]
    Accept(#[source] std::io::Error),
    /// The decode thread ended by itself.
    #[error("the decode thread ended: start the engine again")]
    Stopped,
}

type Connection = Framed<UnixStream, frame::Frames<Ask, Reply>>;

/// Loads the model, serves `listener` until `shutdown` resolves, and drains.
pub async fn serve(
    config: Config,
    listener: UnixListener,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Error> {
    let grace = config.drain_grace;
    let engine = Arc::new(Engine::load(config).await?);
    let mut connections = JoinSet::new();
    accept_until(&engine, &listener, &mut connections, shutdown).await?;
    drop(listener);
    engine.drain(grace).await;
    finish(&mut connections).await;
    Ok(())
}

async fn accept_until(
    engine: &Arc<Engine>,
    listener: &UnixListener,
    connections: &mut JoinSet<()>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Error> {
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => return Ok(()),
            () = engine.stopped() => return Err(Error::Stopped),
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => {
                let (stream, _) = accepted.map_err(Error::Accept)?;
                connections.spawn(answer(Arc::clone(engine), stream));
            }
        }
    }
}

async fn finish(connections: &mut JoinSet<()>) {
    let all = async { while connections.join_next().await.is_some() {} };
    if timeout(LAST_FRAMES_WITHIN, all).await.is_err() {
        tracing::warn!("clients did not read their last frames; their connections are cut");
    }
}

async fn answer(engine: Arc<Engine>, stream: UnixStream) {
    let mut connection = Framed::new(stream, frame::Frames::default());
    let answered = match timeout(FIRST_FRAME_WITHIN, connection.next()).await {
        Ok(Some(Ok(Ask::Start(start)))) => generate(&engine, *start, connection).await,
        Ok(Some(Ok(Ask::Probe))) => probe(&engine, connection).await,
        Ok(Some(Err(FrameError::Io(_))) | None) | Err(_) => Ok(()),
        Ok(Some(Err(error))) => refuse(&error, connection).await,
    };
    if let Err(error) = answered {
        tracing::debug!(%error, "a client left before its answer was complete");
    }
}

async fn generate(
    engine: &Engine,
    start: Start,
    mut connection: Connection,
) -> Result<(), FrameError> {
    let request = start.request;
    match engine.start(start).await {
        Ok(frames) => relay(frames, connection).await,
        Err(refused) => {
            tracing::debug!(%request, reason = ?refused.reason, "refused");
            connection.send(Reply::Refused(refused)).await
        }
    }
}

/// Sends frames until the last one. Anything that comes from the client, its leaving above all,
/// drops `frames` and so cancels.
async fn relay(mut frames: Frames, connection: Connection) -> Result<(), FrameError> {
    let (mut to_client, mut from_client) = connection.split();
    let send_all = async {
        while let Some(reply) = frames.next().await {
            let last = !matches!(reply, Reply::Token(_));
            to_client.send(reply).await?;
            if last {
                return Ok(());
            }
        }
        to_client.send(Reply::Refused(stopped())).await
    };
    tokio::select! {
        biased;
        sent = send_all => sent,
        _ = from_client.next() => Ok(()),
    }
}

async fn probe(engine: &Engine, mut connection: Connection) -> Result<(), FrameError> {
    let reply = match engine.ready().await {
        Ok(ready) => Reply::Ready(ready),
        Err(refused) => Reply::Refused(refused),
    };
    connection.send(reply).await
}

async fn refuse(error: &FrameError, mut connection: Connection) -> Result<(), FrameError> {
    let refused = Refused {
        reason: RefusedReason::Invalid,
        detail: error.to_string(),
    };
    connection.send(Reply::Refused(refused)).await
}
