//! The body that a client sends: read after its key is known to be good, within bounds.

use axum::body::{Body, HttpBody};
use futures::StreamExt;

use crate::gateway::Gateway;
use crate::request::Refusal;

/// Reads a body that is within the limit and never silent for long.
pub(super) async fn read(gateway: &Gateway, body: Body) -> Result<Vec<u8>, Refusal> {
    let limits = gateway.config.limits;
    let (limit, within) = (limits.body_bytes, limits.body_silence);
    let announced = body.size_hint().lower();
    if announced > limit as u64 {
        return Err(Refusal::BodyTooLarge { limit });
    }
    let mut pieces = body.into_data_stream();
    let mut whole = Vec::new();
    loop {
        let piece = tokio::time::timeout(within, pieces.next()).await;
        match piece.map_err(|_| Refusal::BodySilent { within })? {
            None => return Ok(whole),
            Some(Err(_)) => return Err(Refusal::Body("it broke off".to_owned())),
            Some(Ok(piece)) if whole.len() + piece.len() > limit => {
                return Err(Refusal::BodyTooLarge { limit });
            }
            Some(Ok(piece)) => whole.extend_from_slice(&piece),
        }
    }
}
