//! Tokens to the client.

use remuda_link::clock::span;
use remuda_routing::stream::Finish;
use remuda_tokens::tools::Piece;
use remuda_types::Span;
use tokio::time::Instant;

use super::{Cut, Driver};
use crate::request::outbox::{Event, Finished, Left, Part};
use crate::request::refusal::Refusal;
use crate::request::text::Text;

/// How an event fared.
enum Sent {
    Taken,
    Left,
    Cut(Cut),
}

impl Driver {
    /// Gives the client one token's text, once the reservation is durable.
    pub(super) async fn forward(&mut self, id: u32) {
        if self.job.held.durable().await.is_err() {
            return self.cut_off(Cut::NotDurable);
        }
        if let Some(lease) = self.stream.lease() {
            self.progress.forward(lease);
        }
        if self.stream.generated().len() == 1 {
            self.gateway
                .metrics
                .first_token(self.job.workload, self.began.elapsed());
        }
        self.silent_tokens += 1;
        self.scores.extend(self.score.take());
        let tokenizer = &self.job.model.tokenizer;
        let Some(text) = &mut self.text else {
            return;
        };
        let pieces = text.push(tokenizer, id);
        let stopped = text.is_stopped();
        self.show(pieces).await;
        if stopped {
            self.stream.stop();
        }
    }

    async fn show(&mut self, pieces: Vec<Piece>) {
        for piece in pieces {
            let part = Part {
                piece,
                tokens: std::mem::take(&mut self.silent_tokens),
                scores: std::mem::take(&mut self.scores),
            };
            match self.send(Event::Part(part)).await {
                Sent::Taken => {}
                Sent::Left => return self.stream.abandoned(),
                Sent::Cut(cut) => return self.cut_off(cut),
            }
        }
    }

    /// Sends, and stops the machine's time while the client keeps us waiting.
    async fn send(&mut self, event: Event) -> Sent {
        let event = match self.outbox.try_send(event) {
            Ok(None) => return Sent::Taken,
            Ok(Some(event)) => event,
            Err(Left) => return Sent::Left,
        };
        let began = Instant::now();
        let lapse = self.until_lapse();
        let sent = tokio::select! {
            sent = self.outbox.send(event) => sent.map_or(Sent::Left, |()| Sent::Taken),
            () = self.gateway.cut.cancelled() => Sent::Cut(Cut::Stopping),
            () = tokio::time::sleep(lapse) => Sent::Cut(Cut::Lapsed),
        };
        self.paused = Span::saturating_add(self.paused, span(began.elapsed()));
        sent
    }

    /// The answer is complete.
    pub(super) async fn finish(&mut self, reason: Finish, tokens: u32) {
        let rest = self.text.take().map(Text::finish).unwrap_or_default();
        self.show(rest.pieces).await;
        let stopped_by = rest
            .stopped_by
            .and_then(|stop| self.job.stop_texts.get(stop));
        let prompt_tokens = self.stream.delivery().prompt_tokens;
        // What only belongs to the stop sequence is not shown.
        let scores = std::mem::take(&mut self.scores);
        let finished = Finished {
            reason,
            calls: rest.calls,
            prompt_tokens,
            completion_tokens: tokens,
            cached_tokens: self.cached_tokens.min(prompt_tokens),
            silent_tokens: std::mem::take(&mut self.silent_tokens),
            scores: if stopped_by.is_some() {
                Vec::new()
            } else {
                scores
            },
            stopped_by: stopped_by.cloned(),
        };
        self.last_word(Event::Finished(finished)).await;
    }

    /// The answer cannot be completed.
    pub(super) async fn fail(&mut self, refusal: Refusal) {
        self.last_word(Event::Failed(refusal)).await;
    }

    /// Sends what a client need not be there for.
    async fn last_word(&mut self, event: Event) {
        match self.send(event).await {
            Sent::Taken | Sent::Left | Sent::Cut(_) => {}
        }
    }
}
