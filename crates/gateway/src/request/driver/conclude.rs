//! The end of a request: its bill.

use remuda_routing::Delivery;
use remuda_routing::stream::Ended;

use super::{Cut, Driver};
use crate::request::refusal::Refusal;

impl Driver {
    /// Tells a client that was cut off, waits until the client has what was sent, and settles.
    ///
    /// The bill comes after the answer: a crash between the two bills the last checkpoint, which is
    /// never more than was delivered. A client that left pays for what had been forwarded to it.
    pub(super) async fn conclude(mut self) {
        match self.cut {
            Some(Cut::Stopping) => self.fail(Refusal::Stopping).await,
            Some(Cut::Lapsed) => self.fail(Refusal::Lapsed).await,
            Some(Cut::NotDurable) => self.fail(Refusal::Spool(crate::spool::Broken)).await,
            None => {}
        }
        let linger = self.gateway.config.limits.linger;
        tokio::select! {
            () = self.outbox.closed() => {}
            () = tokio::time::sleep(linger.min(self.until_lapse())) => {}
            () = self.gateway.cut.cancelled() => {}
        }
        self.settle();
    }

    fn settle(self) {
        let delivery = match self.cut {
            // Its reservation may not survive a crash, so nothing may be owed.
            Some(Cut::NotDurable) => Delivery::default(),
            Some(Cut::Stopping | Cut::Lapsed) | None => self.stream.delivery(),
        };
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
