//! How much of each open request has been handed over, and its checkpoints.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use remuda_routing::Delivery;
use remuda_routing::meter::Delivered;
use remuda_types::{LeaseId, RequestId};

use crate::gateway::Gateway;
use crate::spool::Note;

/// What is billed if the gateway is killed now.
#[derive(Debug)]
pub(crate) struct Progress {
    prompt_tokens: u32,
    /// Tokens forwarded, by lease, in order.
    forwarded: Mutex<Vec<Delivered>>,
    /// Of these, how many the HTTP connection has taken.
    taken: AtomicU32,
    /// How many the last checkpoint said.
    noted: AtomicU32,
    /// The client got an error instead of the answer.
    withheld: AtomicBool,
}

/// The requests that have no bill yet.
#[derive(Debug, Default)]
pub(crate) struct OpenRequests {
    open: Mutex<BTreeMap<RequestId, Arc<Progress>>>,
}

impl Progress {
    pub(super) fn new(prompt_tokens: u32) -> Self {
        Self {
            prompt_tokens,
            forwarded: Mutex::default(),
            taken: AtomicU32::new(0),
            noted: AtomicU32::new(0),
            withheld: AtomicBool::new(false),
        }
    }

    /// A token of this lease is on its way to the client.
    pub(super) fn forward(&self, lease: LeaseId) {
        let mut forwarded = self.forwarded();
        match forwarded.last_mut().filter(|part| part.lease == lease) {
            Some(part) => part.tokens += 1,
            None => forwarded.push(Delivered { lease, tokens: 1 }),
        }
    }

    /// The HTTP connection has taken the text of so many more.
    pub(super) fn take(&self, tokens: u32) {
        self.taken.fetch_add(tokens, Ordering::Relaxed);
    }

    /// The client is told of an error, and gets nothing.
    pub(super) fn withhold(&self) {
        self.withheld.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_withheld(&self) -> bool {
        self.withheld.load(Ordering::Relaxed)
    }

    /// What to bill, when that is more than the last checkpoint said.
    fn news(&self) -> Option<Delivery> {
        let taken = self.taken.load(Ordering::Relaxed);
        if self.noted.swap(taken, Ordering::Relaxed) == taken {
            return None;
        }
        let delivered = first(&self.forwarded(), taken);
        Some(Delivery {
            prompt_tokens: self.prompt_tokens,
            delivered,
            ended_by: None,
        })
    }

    fn forwarded(&self) -> MutexGuard<'_, Vec<Delivered>> {
        self.forwarded
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first `tokens` of all that was forwarded.
fn first(forwarded: &[Delivered], tokens: u32) -> Vec<Delivered> {
    let mut left = tokens;
    let parts = forwarded.iter().map(|part| {
        let tokens = part.tokens.min(left);
        left -= tokens;
        Delivered {
            lease: part.lease,
            tokens,
        }
    });
    parts.filter(|part| part.tokens > 0).collect()
}

impl OpenRequests {
    pub(super) fn begin(&self, request: RequestId, progress: Arc<Progress>) {
        self.open().insert(request, progress);
    }

    pub(super) fn end(&self, request: RequestId) {
        self.open().remove(&request);
    }

    fn checkpoints(&self) -> Vec<(RequestId, Delivery)> {
        let open = self.open();
        let news = open
            .iter()
            .filter_map(|(request, progress)| Some((*request, progress.news()?)));
        news.collect()
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<RequestId, Arc<Progress>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes checkpoints until the gateway stops.
pub(crate) async fn keep(gateway: Arc<Gateway>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(gateway.config.limits.checkpoint_every) => {}
            () = gateway.stop.cancelled() => return,
        }
        let checkpoints = gateway.open.checkpoints();
        if !checkpoints.is_empty() {
            // One commit at a time: the next checkpoint says more anyway.
            let noted = gateway.spool.note(Note::Checkpoints(checkpoints));
            noted.durable().await.unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(lease: u128, tokens: u32) -> Delivered {
        Delivered {
            lease: LeaseId::from_u128(lease),
            tokens,
        }
    }

    #[test]
    fn a_checkpoint_says_what_was_taken_and_who_delivered_it() {
        let progress = Progress::new(9);
        for lease in [1, 1, 1, 2, 2] {
            progress.forward(LeaseId::from_u128(lease));
        }
        assert!(progress.news().is_none());
        progress.take(2);
        assert_eq!(
            progress.news().map(|news| news.delivered),
            Some(vec![part(1, 2)])
        );
        assert!(progress.news().is_none());
        progress.take(2);
        let delivered = vec![part(1, 3), part(2, 1)];
        assert_eq!(progress.news().map(|news| news.delivered), Some(delivered));
    }
}
