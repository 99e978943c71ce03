//! Streams in flight, each held against what it would have been without trouble.

use remuda_types::Time;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::up::{Door, Piece, Question, Silence, silence_after};

const TEXT: &str = "Write a long list of things that a rider takes along on a journey.";
const MAX_TOKENS: u32 = 192;

/// A stream under way.
pub(super) struct Stream {
    pieces: watch::Receiver<usize>,
    task: JoinHandle<anyhow::Result<Read>>,
}

/// What came of a stream.
#[derive(Clone, Debug, Default)]
pub(super) struct Read {
    text: String,
    at: Vec<Time>,
}

impl Stream {
    /// Asks, and reads in a task of its own.
    pub(super) fn start(door: &Door, model: &str, seed: u64) -> Self {
        let (sender, pieces) = watch::channel(0);
        let (door, model) = (door.clone(), model.to_owned());
        let task = tokio::spawn(async move {
            let question = Question {
                model: &model,
                text: TEXT,
                seed,
                max_tokens: MAX_TOKENS,
            };
            let mut answer = door.ask(&question).await?;
            let mut read = Read::default();
            loop {
                match answer.next().await? {
                    Some(Piece::Text(text, at)) => read.take(&text, at),
                    Some(Piece::End(_)) => return Ok(read),
                    None => anyhow::bail!("the stream broke off after {} pieces", read.at.len()),
                }
                sender.send_replace(read.at.len());
            }
        });
        Self { pieces, task }
    }

    /// Waits until so many pieces came.
    pub(super) async fn has(&mut self, count: usize) -> anyhow::Result<()> {
        self.pieces.wait_for(|pieces| *pieces >= count).await?;
        Ok(())
    }

    /// Waits for its end.
    pub(super) async fn read(self) -> anyhow::Result<Read> {
        self.task.await?
    }
}

impl Read {
    fn take(&mut self, text: &str, at: Time) {
        self.text.push_str(text);
        self.at.push(at);
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The silence that a fault made in it, which was under way from `begun` to `made`.
    pub(super) fn silence(&self, begun: Time, made: Time) -> Option<Silence> {
        silence_after(begun, made, &self.at)
    }
}
