//! Length-prefixed CBOR frames: four bytes of big-endian length, then one message.

use std::marker::PhantomData;

use bytes::{Buf, BufMut, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

/// The largest frame any protocol accepts unless it says otherwise: 4 MiB.
pub const MAX_FRAME_BYTES: usize = 4 << 20;

/// The largest frame in which control tells a node its whole assignment or a gateway its whole
/// route table: 256 MiB. Only who trusts the sender reads up to it.
pub const MAX_STATE_FRAME_BYTES: usize = 256 << 20;

/// Room made at once for a frame that was announced: memory follows what arrives, not what a peer says.
const RESERVE_BYTES: usize = 64 << 10;

const HEADER_BYTES: usize = 4;

/// Why bytes are not a frame.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The peer announced a frame above the limit.
    #[error("a frame of {announced} bytes is over the limit of {limit}")]
    TooLarge {
        /// What the length prefix said.
        announced: usize,
        /// What this side accepts.
        limit: usize,
    },
    /// The frame is not a message of this protocol.
    #[error("the frame is not a message of this protocol: {0}")]
    Malformed(String),
    /// The transport failed.
    #[error("the connection failed")]
    Io(#[from] std::io::Error),
}

/// A codec for frames that carry `Out` one way and `In` the other.
#[derive(Debug)]
pub struct Frames<In, Out> {
    limit: usize,
    direction: PhantomData<fn(Out) -> In>,
}

impl<In, Out> Default for Frames<In, Out> {
    fn default() -> Self {
        Self::up_to(MAX_FRAME_BYTES)
    }
}

impl<In, Out> Frames<In, Out> {
    /// Frames of at most `limit` bytes.
    pub const fn up_to(limit: usize) -> Self {
        Self {
            limit,
            direction: PhantomData,
        }
    }
}

/// Appends one frame of at most `limit` bytes that carries `message` to `buffer`.
pub fn write<M: minicbor::Encode<()>>(
    message: &M,
    limit: usize,
    buffer: &mut BytesMut,
) -> Result<(), FrameError> {
    let start = buffer.len();
    buffer.put_u32(0);
    minicbor::encode(
        message,
        minicbor::encode::write::Writer::new(buffer.writer()),
    )
    .map_err(|error| FrameError::Malformed(error.to_string()))?;
    let body = buffer.len() - start - HEADER_BYTES;
    let length =
        u32::try_from(body)
            .ok()
            .filter(|_| body <= limit)
            .ok_or(FrameError::TooLarge {
                announced: body,
                limit,
            })?;
    buffer[start..start + HEADER_BYTES].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

/// Reads one message from the body of a frame.
pub fn read<M: for<'b> minicbor::Decode<'b, ()>>(body: &[u8]) -> Result<M, FrameError> {
    minicbor::decode(body).map_err(|error| FrameError::Malformed(error.to_string()))
}

impl<In, Out: minicbor::Encode<()>> Encoder<Out> for Frames<In, Out> {
    type Error = FrameError;

    fn encode(&mut self, message: Out, buffer: &mut BytesMut) -> Result<(), FrameError> {
        write(&message, self.limit, buffer)
    }
}

impl<In: for<'b> minicbor::Decode<'b, ()>, Out> Decoder for Frames<In, Out> {
    type Item = In;
    type Error = FrameError;

    fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<In>, FrameError> {
        let Some(header) = buffer.first_chunk::<HEADER_BYTES>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*header) as usize;
        if length > self.limit {
            return Err(FrameError::TooLarge {
                announced: length,
                limit: self.limit,
            });
        }
        if buffer.len() < HEADER_BYTES + length {
            let missing = HEADER_BYTES + length - buffer.len();
            buffer.reserve(missing.min(RESERVE_BYTES));
            return Ok(None);
        }
        buffer.advance(HEADER_BYTES);
        read(&buffer.split_to(length)).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_frames_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            let mut buffer = BytesMut::from(&bytes[..]);
            let mut codec = Frames::<crate::infer::Reply, crate::infer::Ask>::default();
            while let Ok(Some(_)) = codec.decode(&mut buffer) {}
        }

        #[test]
        fn frames_survive_any_cut(cut in 0_usize..20, nonce: u64) {
            let mut whole = BytesMut::new();
            write(&crate::probe::Ping { nonce }, MAX_FRAME_BYTES, &mut whole)?;
            let mut codec = Frames::<crate::probe::Ping, ()>::default();
            let cut = cut.min(whole.len());
            let mut buffer = whole.split_to(cut);
            let early = codec.decode(&mut buffer)?;
            buffer.extend_from_slice(&whole);
            let read = early.or(codec.decode(&mut buffer)?);
            prop_assert_eq!(read.map(|ping| ping.nonce), Some(nonce));
        }
    }

    #[test]
    fn a_hostile_length_is_refused_before_anything_is_reserved() {
        let mut buffer = BytesMut::from(&u32::MAX.to_be_bytes()[..]);
        let refused = Frames::<crate::probe::Ping, ()>::default().decode(&mut buffer);
        assert!(matches!(refused, Err(FrameError::TooLarge { .. })));
    }
}
