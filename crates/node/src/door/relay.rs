//! Bytes between a gateway's stream and an engine's socket, passed on as they come: nothing is
//! parsed, nothing waits for more.

use std::io;

use bytes::BytesMut;
use remuda_link::{Receiver, RecvStream, SendStream, Sender};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio_util::sync::CancellationToken;

use crate::metrics::{Direction, Metrics};

/// Read at once.
const BUFFER_BYTES: usize = 16 << 10;

/// A gateway's stream, and what was read of it with the first frame.
pub(super) struct Gateway {
    send: SendStream,
    receive: RecvStream,
    read: BytesMut,
}

/// Why a request was broken off.
#[derive(Debug, thiserror::Error)]
pub(super) enum Cut {
    #[error("the gateway left")]
    Gateway,
    #[error("the replica was fenced off or has ended")]
    Fenced,
    #[error("the engine left: {0}")]
    Engine(#[source] io::Error),
}

impl Gateway {
    /// The stream of a sender and a receiver.
    pub(super) fn new<In, Out>(sender: Sender<Out>, receiver: Receiver<In>) -> Self {
        let (receive, read) = receiver.into_inner();
        Self {
            send: sender.into_inner(),
            receive,
            read,
        }
    }
}

/// Passes bytes both ways until the engine has said all, or one side leaves: then the other learns
/// of it at once.
pub(super) async fn relay(
    gateway: Gateway,
    engine: UnixStream,
    cut: &CancellationToken,
    metrics: &Metrics,
) -> Result<(), Cut> {
    let Gateway {
        mut send,
        receive,
        read,
    } = gateway;
    let (from_engine, to_engine) = engine.into_split();
    let stopped = send.stopped();
    let passed = tokio::select! {
        passed = answers(from_engine, &mut send, metrics) => passed,
        cut = asks(read, receive, to_engine, metrics) => Err(cut),
        _ = stopped => Err(Cut::Gateway),
        () = cut.cancelled() => Err(Cut::Fenced),
    };
    // Either fails only when the peer has closed the stream already.
    match passed {
        Ok(()) => send.finish().unwrap_or_default(),
        Err(_) => send.reset(0_u32.into()).unwrap_or_default(),
    }
    passed
}

/// From the engine to the gateway, until the engine has said all.
async fn answers(
    mut engine: OwnedReadHalf,
    gateway: &mut SendStream,
    metrics: &Metrics,
) -> Result<(), Cut> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = engine.read(&mut buffer).await.map_err(Cut::Engine)?;
        if count == 0 {
            return Ok(());
        }
        gateway
            .write_all(&buffer[..count])
            .await
            .map_err(|_| Cut::Gateway)?;
        metrics.passed(Direction::FromEngine, count);
    }
}

/// From the gateway to the engine. A gateway that says no more is waited for; so this ends only
/// when one of them leaves.
async fn asks(
    read: BytesMut,
    mut gateway: RecvStream,
    mut engine: OwnedWriteHalf,
    metrics: &Metrics,
) -> Cut {
    match ask_all(read, &mut gateway, &mut engine, metrics).await {
        Ok(()) => std::future::pending().await,
        Err(cut) => cut,
    }
}

async fn ask_all(
    read: BytesMut,
    gateway: &mut RecvStream,
    engine: &mut OwnedWriteHalf,
    metrics: &Metrics,
) -> Result<(), Cut> {
    let mut next = Some(read.freeze());
    while let Some(chunk) = next {
        metrics.passed(Direction::ToEngine, chunk.len());
        // An engine that reads no more may still answer, as one that refuses does.
        if engine.write_all(&chunk).await.is_err() {
            return Ok(());
        }
        next = gateway
            .read_chunk(BUFFER_BYTES)
            .await
            .map_err(|_| Cut::Gateway)?;
    }
    // The engine takes the end of what it is asked for the end of the request: it is not told.
    Ok(())
}
