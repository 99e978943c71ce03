//! One request's stream to one replica.

use std::time::Duration;

use remuda_link::{Connection, Stream, StreamError};
use remuda_routing::stream::Broken;
use remuda_types::NodeKey;
use remuda_wire::frame::{self, FrameError};
use remuda_wire::infer::{Ask, Open, Reply};

use super::pool::ReachError;

/// What a gateway sends on a stream: first who asks and by what right, then what. Two types of
/// frames go one way, so they are encoded by hand.
#[derive(Debug)]
pub(crate) struct Channel {
    connection: Connection,
    stream: Stream<Reply, Said>,
}

/// Either frame; on the wire it is the frame itself.
#[derive(Debug)]
enum Said {
    Open(Open),
    Ask(Ask),
}

impl minicbor::Encode<()> for Said {
    fn encode<W: minicbor::encode::Write>(
        &self,
        encoder: &mut minicbor::Encoder<W>,
        context: &mut (),
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        match self {
            Self::Open(open) => open.encode(encoder, context),
            Self::Ask(ask) => ask.encode(encoder, context),
        }
    }
}

/// How long a probe is waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waits {
    /// Until the node has acknowledged it.
    pub(crate) node: Duration,
    /// Until the engine has answered it; not less than the node's.
    pub(crate) engine: Duration,
}

/// What became of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probed {
    /// The engine serves.
    Answered,
    /// The node lives, its engine does not answer.
    Unanswered,
    /// Nothing came from the node.
    Silent,
}

/// The way to a replica is lost.
#[derive(Debug, thiserror::Error)]
#[error("the stream to the replica is lost")]
pub(crate) struct Lost {
    /// How, for the stream's decision.
    pub(crate) how: Broken,
    #[source]
    source: Option<StreamError>,
}

impl Lost {
    /// The node could not even be reached.
    pub(crate) fn unreachable(node: NodeKey, error: &ReachError) -> Self {
        tracing::debug!(%node, %error, "a node cannot be reached");
        Self {
            how: Broken::Unreachable,
            source: None,
        }
    }
}

impl Channel {
    /// Asks one thing of a replica.
    pub(crate) async fn open(connection: Connection, open: Open, ask: Ask) -> Result<Self, Lost> {
        let asked = async {
            let mut stream = Stream::<Reply, Said>::open(&connection).await?;
            stream.sender.send(&Said::Open(open)).await?;
            stream.sender.send(&Said::Ask(ask)).await?;
            Ok(stream)
        };
        match asked.await {
            Ok(stream) => Ok(Self { connection, stream }),
            Err(error) => Err(lost(&connection, error)),
        }
    }

    /// The next frame. May be called anew when it was cut off.
    pub(crate) async fn receive(&mut self) -> Result<Reply, Lost> {
        match self.stream.receiver.receive().await {
            Ok(Some(reply)) => Ok(reply),
            Ok(None) => Err(Lost {
                how: Broken::StreamReset,
                source: None,
            }),
            Err(error) => Err(lost(&self.connection, error)),
        }
    }

    /// Whether the replica's engine says, in time, that it serves. Its node acknowledges whatever it
    /// gets at once, even while the engine is busy: that tells the one's silence from the other's.
    pub(crate) async fn probe(connection: Connection, open: Open, waits: Waits) -> Probed {
        let heard = || connection.stats().udp_rx.datagrams;
        let before = heard();
        let asked = async {
            Self::open(connection.clone(), open, Ask::Probe)
                .await?
                .receive()
                .await
        };
        tokio::pin!(asked);
        if let Ok(reply) = tokio::time::timeout(waits.node, &mut asked).await {
            return outcome(&reply);
        }
        if heard() == before || connection.close_reason().is_some() {
            return Probed::Silent;
        }
        let rest = waits.engine.saturating_sub(waits.node);
        match tokio::time::timeout(rest, asked).await {
            Ok(reply) => outcome(&reply),
            Err(_) => Probed::Unanswered,
        }
    }
}

fn outcome(reply: &Result<Reply, Lost>) -> Probed {
    match reply {
        Ok(Reply::Ready(_)) => Probed::Answered,
        Err(Lost {
            how: Broken::ConnectionLost | Broken::Unreachable,
            ..
        }) => Probed::Silent,
        Ok(_) | Err(_) => Probed::Unanswered,
    }
}

impl Drop for Channel {
    /// The replica is to stop. After its last frame that is no news.
    fn drop(&mut self) {
        self.stream.sender.reset();
    }
}

fn lost(connection: &Connection, error: StreamError) -> Lost {
    let how = match &error {
        StreamError::Frame(FrameError::Malformed(_) | FrameError::TooLarge { .. }) => {
            Broken::Malformed
        }
        _ if connection.close_reason().is_some() => Broken::ConnectionLost,
        StreamError::Connection(_) => Broken::ConnectionLost,
        StreamError::Frame(FrameError::Io(_)) | StreamError::Write(_) | StreamError::Ended => {
            Broken::StreamReset
        }
    };
    Lost {
        how,
        source: Some(error),
    }
}

/// Whether a `Start` of so many token ids fits in a frame, with room for the rest.
pub(crate) fn fits(tokens: usize) -> bool {
    const MOST_BYTES_PER_ID: usize = 5;
    // A constraint above all.
    const REST: usize = 512 << 10;
    tokens
        .saturating_mul(MOST_BYTES_PER_ID)
        .saturating_add(REST)
        <= frame::MAX_FRAME_BYTES
}
