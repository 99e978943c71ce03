//! The answers to one request, as they come.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use remuda_tokens::tools::Piece;

use crate::request::{Event, Finished, Inbox, Part, Refusal, Score};

/// All of them; dropping it tells their drivers that the client has left, or has all.
#[derive(Debug)]
pub(super) struct Answers {
    inboxes: Vec<Inbox>,
    /// Of each, whether it has come to its end.
    over: Vec<bool>,
    /// Whose turn it is to be asked first.
    turn: usize,
}

/// An answer that is complete.
#[derive(Debug)]
pub(super) struct Whole {
    /// Text and calls in their order; of two neighbours one at most is text.
    pub(super) parts: Vec<Said>,
    pub(super) scores: Vec<Score>,
    pub(super) finished: Finished,
}

/// A part of an answer.
#[derive(Debug)]
pub(super) enum Said {
    Text(String),
    Call(Called),
}

/// A tool that is called.
#[derive(Debug)]
pub(super) struct Called {
    pub(super) name: String,
    /// As JSON.
    pub(super) arguments: String,
}

/// An answer that is being gathered.
#[derive(Debug, Default)]
struct Gathered {
    parts: Vec<Said>,
    scores: Vec<Score>,
    finished: Option<Finished>,
}

impl Answers {
    pub(super) fn new(inboxes: Vec<Inbox>) -> Self {
        let over = vec![false; inboxes.len()];
        Self {
            inboxes,
            over,
            turn: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.inboxes.len()
    }

    /// Waits for the first event of any, and takes it if it says that nothing will come.
    pub(super) async fn fails_early(&mut self, within: Duration) -> Option<Refusal> {
        let first = poll_fn(|context| self.poll(context, Inbox::poll_next));
        match tokio::time::timeout(within, first).await {
            Ok((_, Event::Failed(refusal))) => {
                self.refuse();
                Some(refusal)
            }
            Ok((answer, event)) => {
                self.over[answer] = false;
                self.inboxes[answer].put_back(event);
                None
            }
            Err(_) => None,
        }
    }

    /// The next event, for a body that writes it to the client at once. None when all are complete.
    pub(super) async fn next(&mut self) -> Option<(usize, Event)> {
        if self.over.iter().all(|over| *over) {
            return None;
        }
        Some(poll_fn(|context| self.poll(context, Inbox::poll_deliver)).await)
    }

    /// All answers, when all are complete; until then nothing of them has been delivered.
    pub(super) async fn whole(mut self) -> Result<Vec<Whole>, Refusal> {
        let mut gathered: Vec<_> = self.inboxes.iter().map(|_| Gathered::default()).collect();
        while self.over.iter().any(|over| !over) {
            let (answer, event) = poll_fn(|context| self.poll(context, Inbox::poll_next)).await;
            match event {
                Event::Part(part) => gathered[answer].add(part),
                Event::Finished(finished) => gathered[answer].finished = Some(finished),
                Event::Failed(refusal) => {
                    self.refuse();
                    return Err(refusal);
                }
            }
        }
        let whole = gathered.into_iter().map(Gathered::whole);
        whole.collect::<Option<_>>().ok_or(Refusal::BrokeOff)
    }

    /// The first event that is there.
    fn poll(
        &mut self,
        context: &mut Context<'_>,
        next: impl Fn(&mut Inbox, &mut Context<'_>) -> Poll<Event>,
    ) -> Poll<(usize, Event)> {
        let count = self.inboxes.len();
        for answer in (0..count).map(|step| (self.turn + step) % count) {
            if self.over[answer] {
                continue;
            }
            if let Poll::Ready(event) = next(&mut self.inboxes[answer], context) {
                self.over[answer] = !matches!(event, Event::Part(_));
                self.turn = answer + 1;
                return Poll::Ready((answer, event));
            }
        }
        Poll::Pending
    }

    /// The client is told of an error instead: nothing is billed.
    fn refuse(&mut self) {
        self.inboxes.drain(..).for_each(Inbox::refuse);
        self.over.clear();
    }
}

impl Whole {
    /// All text, and all calls, for APIs that keep them apart.
    pub(super) fn split(self) -> (String, Vec<Called>) {
        let (mut text, mut calls) = (String::new(), Vec::new());
        for part in self.parts {
            match part {
                Said::Text(more) => text.push_str(&more),
                Said::Call(call) => calls.push(call),
            }
        }
        (text, calls)
    }
}

impl Gathered {
    fn add(&mut self, part: Part) {
        self.scores.extend(part.scores);
        match (self.parts.last_mut(), part.piece) {
            (Some(Said::Text(text)), Piece::Text(more)) => text.push_str(&more),
            (_, Piece::Text(text)) => self.parts.push(Said::Text(text)),
            (_, Piece::Call { name }) => self.parts.push(Said::Call(Called {
                name,
                arguments: String::new(),
            })),
            (Some(Said::Call(call)), Piece::Arguments(more)) => call.arguments.push_str(&more),
            // Arguments follow a call.
            (_, Piece::Arguments(_)) => {}
        }
    }

    fn whole(self) -> Option<Whole> {
        let mut finished = self.finished?;
        let mut scores = self.scores;
        scores.append(&mut finished.scores);
        Some(Whole {
            parts: self.parts,
            scores,
            finished,
        })
    }
}
