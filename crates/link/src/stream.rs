//! One bidirectional QUIC stream that carries frames.

use bytes::BytesMut;
use futures::StreamExt;
use iroh::endpoint::{Connection, ConnectionError, RecvStream, SendStream};
use minicbor::{Decode, Encode};
use remuda_wire::frame::{self, FrameError, Frames};
use tokio_util::codec::FramedRead;

/// Why a stream gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The connection is gone.
    #[error("the connection is gone")]
    Connection(#[from] ConnectionError),
    /// The bytes are not what this protocol says.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The peer stopped reading, or the connection broke while writing.
    #[error("the peer does not take what is sent")]
    Write(#[from] iroh::endpoint::WriteError),
    /// The peer ended the stream where an answer was due.
    #[error("the peer ended the stream without an answer")]
    Ended,
}

/// A stream that carries `In` one way and `Out` the other.
#[derive(Debug)]
pub struct Stream<In, Out> {
    /// The half that sends.
    pub sender: Sender<Out>,
    /// The half that receives.
    pub receiver: Receiver<In>,
}

/// The half that sends.
#[derive(Debug)]
pub struct Sender<Out> {
    stream: SendStream,
    limit: usize,
    buffer: BytesMut,
    carries: std::marker::PhantomData<fn(Out)>,
}

/// The half that receives.
#[derive(Debug)]
pub struct Receiver<In> {
    frames: FramedRead<RecvStream, Frames<In, ()>>,
}

impl<In, Out> Stream<In, Out> {
    /// The two halves that a connection gave.
    pub fn new((send, recv): (SendStream, RecvStream)) -> Self {
        Self {
            sender: Sender::new(send),
            receiver: Receiver::new(recv),
        }
    }

    /// Opens a stream on a connection. The peer sees it with the first frame.
    pub async fn open(connection: &Connection) -> Result<Self, StreamError> {
        Ok(Self::new(connection.open_bi().await?))
    }

    /// Carries frames of up to `bytes`, both ways.
    #[must_use]
    pub fn up_to(mut self, bytes: usize) -> Self {
        self.sender.limit = bytes;
        *self.receiver.frames.decoder_mut() = Frames::up_to(bytes);
        self
    }

    /// Waits for a stream that the peer opens.
    pub async fn accept(connection: &Connection) -> Result<Self, StreamError> {
        Ok(Self::new(connection.accept_bi().await?))
    }
}

impl<In: for<'b> Decode<'b, ()>, Out: Encode<()>> Stream<In, Out> {
    /// Sends one message and waits for one answer.
    pub async fn ask(&mut self, message: &Out) -> Result<In, StreamError> {
        self.sender.send(message).await?;
        self.receiver.receive().await?.ok_or(StreamError::Ended)
    }
}

impl<Out> Sender<Out> {
    /// The sending half of a QUIC stream.
    pub fn new(stream: SendStream) -> Self {
        Self {
            stream,
            limit: frame::MAX_FRAME_BYTES,
            buffer: BytesMut::new(),
            carries: std::marker::PhantomData,
        }
    }

    /// Says that nothing more comes.
    pub fn finish(&mut self) {
        // A stream that the peer has closed already is finished, too.
        self.stream.finish().unwrap_or_default();
    }

    /// Breaks the stream off: the peer is to stop working for it.
    pub fn reset(&mut self) {
        self.stream.reset(0_u32.into()).unwrap_or_default();
    }

    /// The stream itself, for bytes that are passed on as they are.
    pub fn into_inner(self) -> SendStream {
        self.stream
    }
}

impl<Out: Encode<()>> Sender<Out> {
    /// Sends one message.
    pub async fn send(&mut self, message: &Out) -> Result<(), StreamError> {
        self.buffer.clear();
        frame::write(message, self.limit, &mut self.buffer)?;
        self.stream.write_all(&self.buffer).await?;
        Ok(())
    }
}

impl<In> Receiver<In> {
    /// The receiving half of a QUIC stream.
    pub fn new(stream: RecvStream) -> Self {
        Self {
            frames: FramedRead::new(stream, Frames::default()),
        }
    }

    /// The stream and what was read of it but not used, for bytes that are passed on as they are.
    pub fn into_inner(self) -> (RecvStream, BytesMut) {
        let parts = self.frames.into_parts();
        (parts.io, parts.read_buf)
    }
}

impl<In: for<'b> Decode<'b, ()>> Receiver<In> {
    /// The next message; `None` when the peer said that nothing more comes.
    pub async fn receive(&mut self) -> Result<Option<In>, StreamError> {
        Ok(self.frames.next().await.transpose()?)
    }
}
