//! What goes from a request's driver to its client: bounded, and counted where it is taken.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use remuda_routing::stream::Finish;
use tokio::sync::mpsc;

use super::progress::Progress;
use super::refusal::Refusal;

/// One thing that a client is told.
#[derive(Debug)]
pub(crate) enum Event {
    /// More text, and how many tokens made it.
    Text { text: String, tokens: u32 },
    /// The answer is complete.
    Finished(Finished),
    /// The answer cannot be completed.
    Failed(Refusal),
}

/// How a complete answer ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Finished {
    pub(crate) reason: Finish,
    pub(crate) prompt_tokens: u32,
    pub(crate) completion_tokens: u32,
    /// Prompt tokens that the replica had in its cache.
    pub(crate) cached_tokens: u32,
    /// Tokens of the answer that made no text of their own.
    pub(crate) silent_tokens: u32,
}

/// The driver's end.
#[derive(Debug)]
pub(super) struct Outbox(mpsc::Sender<Event>);

/// The door's end. Dropping it tells the driver that the client has left, or has all.
#[derive(Debug)]
pub(crate) struct Inbox {
    events: mpsc::Receiver<Event>,
    ahead: VecDeque<Event>,
    progress: Arc<Progress>,
}

/// The client no longer listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Left;

pub(super) fn pair(ahead: usize, progress: Arc<Progress>) -> (Outbox, Inbox) {
    let (sender, events) = mpsc::channel(ahead.max(1));
    (
        Outbox(sender),
        Inbox {
            events,
            ahead: VecDeque::new(),
            progress,
        },
    )
}

impl Outbox {
    /// Sends at once, or hands the event back when the client is slow.
    pub(super) fn try_send(&self, event: Event) -> Result<Option<Event>, Left> {
        match self.0.try_send(event) {
            Ok(()) => Ok(None),
            Err(mpsc::error::TrySendError::Full(event)) => Ok(Some(event)),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(Left),
        }
    }

    /// Sends when the client has taken enough.
    pub(super) async fn send(&self, event: Event) -> Result<(), Left> {
        self.0.send(event).await.map_err(|_| Left)
    }

    /// Waits until the client has left, or has all.
    pub(super) async fn closed(&self) {
        self.0.closed().await;
    }
}

impl Inbox {
    /// Waits for the first event, and takes it if it says that nothing will come.
    pub(crate) async fn fails_early(&mut self, within: Duration) -> Option<Refusal> {
        match tokio::time::timeout(within, self.events.recv()).await {
            Ok(Some(Event::Failed(refusal))) => Some(refusal),
            Ok(Some(event)) => {
                self.ahead.push_back(event);
                None
            }
            Ok(None) => Some(Refusal::BrokeOff),
            Err(_) => None,
        }
    }

    /// The next event, for a body that writes it to the client at once: it counts as delivered.
    pub(crate) async fn deliver(&mut self) -> Event {
        let event = match self.ahead.pop_front() {
            Some(event) => event,
            None => self
                .events
                .recv()
                .await
                .unwrap_or(Event::Failed(Refusal::BrokeOff)),
        };
        match &event {
            Event::Text { tokens, .. } => self.progress.take(*tokens),
            Event::Finished(finished) => self.progress.take(finished.silent_tokens),
            Event::Failed(_) => {}
        }
        event
    }

    /// The whole answer. Until it is complete nothing of it has been delivered.
    pub(crate) async fn collect(&mut self) -> Result<(String, Finished), Refusal> {
        let mut answer = String::new();
        loop {
            match self.events.recv().await {
                Some(Event::Text { text, .. }) => answer.push_str(&text),
                Some(Event::Finished(finished)) => return Ok((answer, finished)),
                Some(Event::Failed(refusal)) => return Err(refusal),
                None => return Err(Refusal::BrokeOff),
            }
        }
    }
}
