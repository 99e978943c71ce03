//! The way to control: one connection, a stream for each question, and the watch that brings tables.

mod watch;

use std::time::Duration;

use remuda_link::{Connection, Endpoint, Stream, StreamError};
use remuda_wire::gateway::{GatewayRefused, GatewayReply, GatewayRequest};
use tokio::sync::watch as cell;

pub(crate) use watch::keep;

use crate::config::ControlAddress;

/// Control, as far as it can be reached.
#[derive(Debug)]
pub(crate) struct ControlLink {
    endpoint: Endpoint,
    address: ControlAddress,
    within: Duration,
    connection: cell::Sender<Option<Connection>>,
}

/// Why control gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    #[error("control is not connected")]
    Down,
    #[error("control did not answer in time")]
    TimedOut,
    #[error("the question to control was cut off")]
    Broken(#[from] StreamError),
    #[error("control refuses ({}): {}", .0.code, .0.detail)]
    Refused(GatewayRefused),
}

impl AskError {
    /// Whether the same question may be answered later: control said nothing, or said so.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Down | Self::TimedOut | Self::Broken(_) => true,
            Self::Refused(refused) => refused.retry,
        }
    }
}

impl ControlLink {
    pub(crate) fn new(endpoint: Endpoint, address: ControlAddress, within: Duration) -> Self {
        Self {
            endpoint,
            address,
            within,
            connection: cell::Sender::new(None),
        }
    }

    /// Whether there is a connection now.
    pub(crate) fn is_up(&self) -> bool {
        self.connection
            .borrow()
            .as_ref()
            .is_some_and(|up| up.close_reason().is_none())
    }

    /// Asks control one thing.
    pub(crate) async fn ask(&self, request: GatewayRequest) -> Result<GatewayReply, AskError> {
        let connection = self.connection.borrow().clone().ok_or(AskError::Down)?;
        let answer = async {
            let mut stream = Stream::<GatewayReply, GatewayRequest>::open(&connection).await?;
            stream.ask(&request).await
        };
        let answer = tokio::time::timeout(self.within, answer).await;
        match answer.map_err(|_| AskError::TimedOut)?? {
            GatewayReply::Refused(refused) => Err(AskError::Refused(refused)),
            reply => Ok(reply),
        }
    }
}
