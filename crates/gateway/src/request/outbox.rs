//! What goes from a request's driver to its client: bounded, and counted where it is taken.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use remuda_routing::stream::Finish;
use remuda_tokens::tools::Piece;
use tokio::sync::mpsc;

use super::progress::Progress;
use super::refusal::Refusal;

/// One thing that a client is told.
#[derive(Debug)]
pub(crate) enum Event {
    /// More of the answer.
    Part(Part),
    /// The answer is complete.
    Finished(Finished),
    /// The answer cannot be completed.
    Failed(Refusal),
}

/// More of an answer.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) piece: Piece,
    /// How many tokens made it.
    pub(crate) tokens: u32,
    /// Their probabilities, when they were asked for.
    pub(crate) scores: Vec<Score>,
}

/// How likely a token was.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Score {
    pub(crate) token: Likely,
    /// The likeliest tokens of its place, likeliest first.
    pub(crate) top: Vec<Likely>,
}

/// A token and its probability.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Likely {
    pub(crate) bytes: Vec<u8>,
    /// Natural log of its probability.
    pub(crate) logprob: f32,
}

/// How a complete answer ended.
#[derive(Clone, Debug)]
pub(crate) struct Finished {
    pub(crate) reason: Finish,
    /// The stop sequence that ended it.
    pub(crate) stopped_by: Option<String>,
    /// Whether it ends in calls of tools.
    pub(crate) calls: bool,
    pub(crate) prompt_tokens: u32,
    pub(crate) completion_tokens: u32,
    /// Prompt tokens that the replica had in its cache.
    pub(crate) cached_tokens: u32,
    /// Tokens of the answer that made nothing to show of their own.
    pub(crate) silent_tokens: u32,
    /// The probabilities of the last tokens that did.
    pub(crate) scores: Vec<Score>,
}

/// The driver's end.
#[derive(Debug)]
pub(super) struct Outbox(mpsc::Sender<Event>);

/// The door's end. Dropping it tells the driver that the client has left, or has all.
#[derive(Debug)]
pub(crate) struct Inbox {
    events: mpsc::Receiver<Event>,
    /// An event that was looked at and put back.
    ahead: Option<Event>,
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
            ahead: None,
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
    /// Puts an event back that was looked at.
    pub(crate) fn put_back(&mut self, event: Event) {
        self.ahead = Some(event);
    }

    /// Gives the whole answer back: it is not billed.
    pub(crate) fn refuse(self) {
        self.progress.withhold();
    }

    /// The next event, for a body that writes it to the client at once: it counts as delivered.
    pub(crate) fn poll_deliver(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        let event = ready!(self.poll_next(context));
        match &event {
            Event::Part(part) => self.progress.take(part.tokens),
            Event::Finished(finished) => self.progress.take(finished.silent_tokens),
            Event::Failed(_) => {}
        }
        Poll::Ready(event)
    }

    /// The next event. Until all of the answer is delivered, nothing of it has been.
    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        match self.ahead.take() {
            Some(event) => Poll::Ready(event),
            None => self.poll_received(context),
        }
    }

    fn poll_received(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        let event = ready!(self.events.poll_recv(context));
        Poll::Ready(event.unwrap_or(Event::Failed(Refusal::BrokeOff)))
    }
}
