//! Tokens to the client.

use remuda_link::clock::span;
use remuda_routing::stream::Finish;
use remuda_types::Span;
use tokio::time::Instant;

use super::{Cut, Driver};
use crate::request::outbox::{Event, Finished, Left};
use crate::request::refusal::Refusal;
use crate::request::text::{Shown, Text};

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
        let tokenizer = &self.job.model.tokenizer;
        match self.text.as_mut().map(|text| text.push(tokenizer, id)) {
            None => {}
            Some(Shown::More(text)) => self.show(text).await,
            Some(Shown::Last(text)) => {
                self.show(text).await;
                self.stream.stop();
            }
        }
    }

    async fn show(&mut self, text: String) {
        if text.is_empty() {
            return;
        }
        let tokens = std::mem::take(&mut self.silent_tokens);
        match self.send(Event::Text { text, tokens }).await {
            Sent::Taken => {}
            Sent::Left => self.stream.abandoned(),
            Sent::Cut(cut) => self.cut_off(cut),
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
        let prompt_tokens = self.stream.delivery().prompt_tokens;
        self.show(rest).await;
        let finished = Finished {
            reason,
            prompt_tokens,
            completion_tokens: tokens,
            cached_tokens: self.cached_tokens.min(prompt_tokens),
            silent_tokens: std::mem::take(&mut self.silent_tokens),
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
