//! The handle that every door of control holds: submit commands, read the follower's state, wait
//! for it to change.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};

use remuda_journal::{Seq, Side};
use remuda_network::{Command, Network};
use remuda_types::CommandId;
use tokio::sync::{oneshot, watch};

use crate::clock::Clock;
use crate::config::Config;
use crate::follower::Follower;
use crate::sequencer::{Receipt, Submission, SubmitError};
use crate::vault::Vault;

pub mod recover;

/// Control's inside, as its doors see it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Core {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    submissions: SyncSender<Submission>,
    follower: Arc<Follower>,
    vault: Vault,
    clock: Arc<Clock>,
    config: Config,
    epoch: u64,
}

impl Core {
    pub(crate) fn new(
        submissions: SyncSender<Submission>,
        follower: Arc<Follower>,
        vault: Vault,
        clock: Arc<Clock>,
        config: Config,
        epoch: u64,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                submissions,
                follower,
                vault,
                clock,
                config,
                epoch,
            }),
        }
    }

    /// Does a command: returns when it is durable and every later read sees it.
    pub async fn submit(
        &self,
        id: CommandId,
        command: Command,
        sides: Vec<Side>,
    ) -> Result<Receipt, SubmitError> {
        let (reply, answer) = oneshot::channel();
        let submission = Submission {
            id,
            command,
            sides,
            reply,
        };
        self.enqueue(submission).await?;
        let receipt = answer.await.map_err(|_| SubmitError::Stopping)??;
        self.reached(receipt.seq).await;
        Ok(receipt)
    }

    /// The queue is bounded; when it is full, the wait is not on an async thread.
    async fn enqueue(&self, submission: Submission) -> Result<(), SubmitError> {
        let full = match self.inner.submissions.try_send(submission) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Disconnected(_)) => return Err(SubmitError::Stopping),
            Err(TrySendError::Full(submission)) => submission,
        };
        let sender = self.inner.submissions.clone();
        let sent = tokio::task::spawn_blocking(move || sender.send(full).is_ok()).await;
        if matches!(sent, Ok(true)) {
            Ok(())
        } else {
            Err(SubmitError::Stopping)
        }
    }

    /// Does a command of control's own.
    pub async fn submit_own(&self, command: Command) -> Result<Receipt, SubmitError> {
        self.submit(self.inner.clock.command_id(), command, Vec::new())
            .await
    }

    /// Reads the network as the follower has it. Keep it short: the follower waits meanwhile.
    pub fn read<T>(&self, read: impl FnOnce(&Network) -> T) -> T {
        self.inner.follower.read(read)
    }

    /// Waits until the follower shows record `seq`.
    pub async fn reached(&self, seq: Seq) {
        let mut changes = self.changes();
        // The sender lives as long as the follower, which outlives every caller.
        drop(changes.wait_for(|at| *at >= seq).await);
    }

    /// The newest record that reads show, and how to wait for the next.
    pub fn changes(&self) -> watch::Receiver<Seq> {
        self.inner.follower.changes()
    }

    /// Follower, for projections.
    pub fn follower(&self) -> &Follower {
        &self.inner.follower
    }

    /// Tenants' texts.
    pub fn vault(&self) -> &Vault {
        &self.inner.vault
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// What control was started with.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// The writer's epoch: assignments carry it, so that a node follows the newest control.
    pub fn epoch(&self) -> u64 {
        self.inner.epoch
    }
}
