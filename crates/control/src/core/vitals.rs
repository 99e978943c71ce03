//! Whether everything that control is made of still runs.
//!
//! Each thread and task that must not end by itself has a [`Watch`]. One that ends unasked, by a
//! panic or by returning, is told to [`Vitals`]; then `/v1/ready` says no and whoever started
//! control learns it. Nothing is started again: what a part had in its hands is lost with it, and a
//! new start recovers from the journal.

use std::fmt;
use std::future::Future;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// A part without which control is no control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Decides and makes durable.
    Sequencer,
    /// Feeds the state that reads see.
    Follower,
    /// Tells which nodes are lost.
    Detector,
    /// Lets nodes and gateways in.
    Sessions,
    /// Serves the HTTP API.
    Http,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sequencer => "sequencer",
            Self::Follower => "follower",
            Self::Detector => "failure detector",
            Self::Sessions => "door for nodes and gateways",
            Self::Http => "HTTP listener",
        })
    }
}

/// A part that ended unasked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("control's {part} ended unasked: the log has why; start control again")]
pub struct Failure {
    /// Which, the first if there were several.
    pub part: Part,
}

/// Knows of the first failure. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Vitals {
    failure: watch::Sender<Option<Failure>>,
}

impl Default for Vitals {
    fn default() -> Self {
        Self {
            failure: watch::Sender::new(None),
        }
    }
}

impl Vitals {
    /// What failed, if something did.
    pub fn failure(&self) -> Option<Failure> {
        *self.failure.borrow()
    }

    /// Waits for a failure.
    pub async fn failed(&self) -> Failure {
        let mut failures = self.failure.subscribe();
        loop {
            if let Some(failure) = *failures.borrow_and_update() {
                return failure;
            }
            // We hold a sender ourselves, so there is always a next change to wait for.
            drop(failures.changed().await);
        }
    }

    /// Watches a part until its end is released.
    #[must_use]
    pub fn watch(&self, part: Part) -> Watch {
        Watch {
            vitals: self.clone(),
            part,
            released: false,
        }
    }

    /// A task that may end only once `stop` was asked for.
    pub fn task<F: Future<Output = ()>>(
        &self,
        part: Part,
        stop: CancellationToken,
        task: F,
    ) -> impl Future<Output = ()> + use<F> {
        let watch = self.watch(part);
        async move {
            task.await;
            if stop.is_cancelled() {
                watch.release();
            }
        }
    }

    fn fail(&self, failure: Failure) {
        let first = self.failure.send_if_modified(|known| {
            let first = known.is_none();
            known.get_or_insert(failure);
            first
        });
        if first {
            tracing::error!(%failure, "control has failed");
        }
    }
}

/// Held by a part as long as it runs; dropped in a panic, too.
#[derive(Debug)]
pub struct Watch {
    vitals: Vitals,
    part: Part,
    released: bool,
}

impl Watch {
    /// The part ends because it was asked to.
    pub fn release(mut self) {
        self.released = true;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if !self.released {
            self.vitals.fail(Failure { part: self.part });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_part_that_panics_is_told_and_the_first_stays() {
        let vitals = Vitals::default();
        let watch = vitals.watch(Part::Sequencer);
        let panicked = std::thread::spawn(move || {
            let _watch = watch;
            panic!("on purpose");
        });
        assert!(panicked.join().is_err());
        drop(vitals.watch(Part::Follower));
        let first = Failure {
            part: Part::Sequencer,
        };
        assert_eq!(vitals.failed().await, first);
        assert_eq!(vitals.failure(), Some(first));
    }

    #[tokio::test]
    async fn a_task_may_end_when_it_is_asked_to_and_not_before() {
        let (vitals, stop) = (Vitals::default(), CancellationToken::new());
        stop.cancel();
        vitals.task(Part::Http, stop, async {}).await;
        vitals.watch(Part::Follower).release();
        assert_eq!(vitals.failure(), None);
        let running = CancellationToken::new();
        vitals.task(Part::Http, running, async {}).await;
        assert_eq!(vitals.failed().await.part, Part::Http);
    }
}
