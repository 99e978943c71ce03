//! A shape that has been checked: what it asks of GPUs, told apart once.

use minicbor::decode::Error as DecodeError;
use minicbor::encode::{Error as EncodeError, Write};
use minicbor::{Decode, Decoder, Encode, Encoder};
use remuda_types::Shape;

use crate::request::RequestError;

/// Thousandths in one whole GPU.
pub(crate) const WHOLE_GPU_MILLI: u16 = 1_000;

/// What a shape asks of a node's GPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum GpuAsk {
    /// Nothing.
    None,
    /// A part of one GPU, in thousandths: 1 to 999.
    Part(u16),
    /// This many GPUs, each wholly free.
    Whole(u64),
}

/// A shape that asks for something, and for GPUs either by parts of one or by whole ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(into = "Shape")]
pub(crate) struct Ask {
    shape: Shape,
    gpus: GpuAsk,
}

impl From<Ask> for Shape {
    fn from(ask: Ask) -> Self {
        ask.shape
    }
}

impl<C> Encode<C> for Ask {
    fn encode<W: Write>(
        &self,
        e: &mut Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), EncodeError<W::Error>> {
        self.shape.encode(e, ctx)
    }
}

impl<'b, C> Decode<'b, C> for Ask {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, DecodeError> {
        let at = d.position();
        let shape = Shape::decode(d, ctx)?;
        Self::new(shape).map_err(|error| DecodeError::message(error.to_string()).at(at))
    }
}

impl Ask {
    pub(crate) fn new(shape: Shape) -> Result<Self, RequestError> {
        let gpus = GpuAsk::new(shape.gpu_milli)?;
        if gpus == GpuAsk::None && shape.gpu_memory_mib > 0 {
            return Err(RequestError::GpuMemoryWithoutGpu);
        }
        if shape == Shape::default() {
            return Err(RequestError::EmptyShape);
        }
        Ok(Self { shape, gpus })
    }

    pub(crate) fn shape(&self) -> &Shape {
        &self.shape
    }

    pub(crate) fn gpus(&self) -> GpuAsk {
        self.gpus
    }
}

impl GpuAsk {
    fn new(gpu_milli: u64) -> Result<Self, RequestError> {
        let whole = u64::from(WHOLE_GPU_MILLI);
        match u16::try_from(gpu_milli) {
            Ok(0) => Ok(Self::None),
            Ok(part) if part < WHOLE_GPU_MILLI => Ok(Self::Part(part)),
            _ if gpu_milli.is_multiple_of(whole) => Ok(Self::Whole(gpu_milli / whole)),
            _ => Err(RequestError::FractionAboveOne { gpu_milli }),
        }
    }

    /// How many GPUs it touches.
    pub(crate) fn count(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Part(_) => 1,
            Self::Whole(count) => count,
        }
    }

    /// What it takes of each of them, in thousandths.
    pub(crate) fn milli_each(self) -> u16 {
        match self {
            Self::None => 0,
            Self::Part(milli) => milli,
            Self::Whole(_) => WHOLE_GPU_MILLI,
        }
    }
}
