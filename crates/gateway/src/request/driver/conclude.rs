//! The end of a request: its bill.

use std::time::Duration;

use remuda_routing::Delivery;
use remuda_routing::stream::Ended;

use super::{Cut, Driver};
use crate::request::refusal::Refusal;

impl Driver {
    /// Tells a client that was cut off, waits until the client has what was sent, and settles.
    ///
    /// The bill comes after the answer: a crash between the two bills the last checkpoint, which is
    /// never more than was delivered. A client that left pays for what had been produced for it; one
    /// that was to have the whole answer and got an error instead pays nothing.
    pub(super) async fn conclude(mut self) {
        match self.cut {
            Some(Cut::Stopping) => self.fail(Refusal::Stopping).await,
            Some(Cut::Lapsed) => self.fail(Refusal::Lapsed).await,
            Some(Cut::NotDurable) => self.fail(Refusal::Spool(crate::spool::Broken)).await,
            None => {}
        }
        // Who waits for the whole of several answers has none before all are there.
        let linger = if self.job.streamed {
            self.gateway.config.limits.linger
        } else {
            Duration::MAX
        };
        tokio::select! {
            () = self.outbox.closed() => {}
            () = tokio::time::sleep(linger.min(self.until_lapse())) => {}
            () = self.gateway.cut.cancelled() => {}
        }
        self.settle();
    }

    fn settle(self) {
        let delivery = self.owed();
        let (ended, moves) = (self.stream.ended(), self.stream.moves());
        let metrics = &self.gateway.metrics;
        metrics.moves(self.job.workload, moves);
        log(ended, moves.len(), &delivery);
        self.gateway.open.end(self.job.request);
        let bill = self.gateway.treasury.settle(self.job.held, delivery);
        metrics.billed(
            self.job.workload,
            bill.tokens.prompt,
            bill.tokens.completion,
        );
    }
}

impl Driver {
    /// What the client is billed.
    fn owed(&self) -> Delivery {
        // Without a durable reservation nothing may be owed: it may not survive a crash.
        if self.cut == Some(Cut::NotDurable) || self.is_withheld() {
            Delivery::default()
        } else {
            Delivery {
                prompt_tokens: self.job.billed_prompt,
                ..self.stream.delivery()
            }
        }
    }

    /// Whether the client got nothing of what was generated: its answer was to come whole, and did
    /// not.
    fn is_withheld(&self) -> bool {
        let failed = matches!(self.stream.ended(), Some(Ended::Failed(_)));
        self.progress.is_withheld() || !self.job.streamed && (failed || self.cut.is_some())
    }
}

fn log(ended: Option<Ended>, moves: usize, delivery: &Delivery) {
    let completion: u64 = delivery
        .delivered
        .iter()
        .map(|part| u64::from(part.tokens))
        .sum();
    let prompt = delivery.prompt_tokens;
    match ended {
        Some(Ended::Failed(why)) => {
            tracing::info!(%why, prompt, completion, moves, "a request failed");
        }
        Some(Ended::Finished(_) | Ended::Abandoned) | None => {
            tracing::debug!(?ended, prompt, completion, moves, "a request ended");
        }
    }
}
