//! The body that a client sends: read after its key is known to be good, within bounds.

use std::time::Duration;

use axum::body::{Body, BodyDataStream, HttpBody};
use futures::StreamExt;

use crate::gateway::Gateway;
use crate::request::Refusal;

/// How long what is too large is read on.
const DRAIN_WITHIN: Duration = Duration::from_secs(2);

/// Reads a body that is within the limit and never silent for long.
pub(super) async fn read(gateway: &Gateway, body: Body) -> Result<Vec<u8>, Refusal> {
    let limits = gateway.config.limits;
    let (limit, within) = (limits.body_bytes, limits.body_silence);
    let announced = body.size_hint().lower();
    let mut pieces = body.into_data_stream();
    if announced > limit as u64 {
        drain(&mut pieces, limit).await;
        return Err(Refusal::BodyTooLarge { limit });
    }
    let mut whole = Vec::new();
    loop {
        let piece = tokio::time::timeout(within, pieces.next()).await;
        match piece.map_err(|_| Refusal::BodySilent { within })? {
            None => return Ok(whole),
            Some(Err(_)) => return Err(Refusal::Body("it broke off".to_owned())),
            Some(Ok(piece)) if whole.len() + piece.len() > limit => {
                drain(&mut pieces, limit).await;
                return Err(Refusal::BodyTooLarge { limit });
            }
            Some(Ok(piece)) => whole.extend_from_slice(&piece),
        }
    }
}

/// Reads on for a while: a client that is still sending when its connection is closed sees a broken
/// one, and not what is wrong.
async fn drain(pieces: &mut BodyDataStream, limit: usize) {
    let mut left = limit.saturating_mul(4);
    let read = async {
        while let Some(Ok(piece)) = pieces.next().await
            && piece.len() <= left
        {
            left -= piece.len();
        }
    };
    // Either way the client is told the same.
    tokio::time::timeout(DRAIN_WITHIN, read)
        .await
        .unwrap_or_default();
}
