//! The handle that every door of control holds: submit commands, read the follower's state, wait
//! for it to change.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::Duration;

use remuda_journal::{Seq, Side};
use remuda_network::{Command, Network, Refusal};
use remuda_types::{CommandId, Time};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::time::timeout;

use crate::clock::Clock;
use crate::config::Config;
use crate::follower::Follower;
use crate::planning::Planned;
use crate::sequencer::{Message, Receipt, Submission, SubmitError};
use crate::vault::Vault;

pub mod recover;
pub mod vitals;

use vitals::Vitals;

/// So many looks at all of the network go on at once: each keeps the follower waiting while it reads,
/// and takes a core of those that decide.
const LOOKS_AT_ONCE: usize = 1;
/// Who does not get its turn within this goes without.
const LOOK_WITHIN: Duration = Duration::from_secs(5);

/// Control's inside, as its doors see it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Core {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    submissions: SyncSender<Message>,
    follower: Arc<Follower>,
    vault: Vault,
    clock: Arc<Clock>,
    config: Config,
    epoch: u64,
    vitals: Vitals,
    recovered: Time,
    planned: watch::Sender<Option<Planned>>,
    looks: Arc<Semaphore>,
}

impl Core {
    pub(crate) fn new(
        submissions: SyncSender<Message>,
        follower: Arc<Follower>,
        vault: Vault,
        clock: Arc<Clock>,
        (config, epoch): (Config, u64),
        vitals: Vitals,
    ) -> Self {
        let recovered = follower.read(|network| network.state().clock);
        Self {
            inner: Arc::new(Inner {
                submissions,
                follower,
                vault,
                clock,
                config,
                epoch,
                vitals,
                recovered,
                planned: watch::Sender::new(None),
                looks: Arc::new(Semaphore::new(LOOKS_AT_ONCE)),
            }),
        }
    }

    /// Does a command: returns when it is durable and every later read sees it. Why there is no
    /// room for what is asked is worked out here, on what readers see, so that no other command
    /// waits for it.
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
        let answered = answer.await.map_err(|_| SubmitError::Stopping)?;
        let receipt = match answered {
            Err(SubmitError::Refused(refusal @ Refusal::NoRoom(_))) => {
                return Err(self.explained(refusal).await);
            }
            answered => answered?,
        };
        self.reached(receipt.seq).await;
        Ok(receipt)
    }

    /// The refusal with its reasons.
    async fn explained(&self, refusal: Refusal) -> SubmitError {
        let bare = refusal.clone();
        let explain = |core: &Self| core.read(|network| network.explain(refusal));
        self.look(explain).await.unwrap_or(bare).into()
    }

    /// What takes a look at every state that nodes are in: not on an async thread, and after those that
    /// asked before. Who has several takes a turn for each. Nothing where too many did.
    pub(crate) async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Option<T> {
        let turn = Arc::clone(&self.inner.looks).acquire_owned();
        let turn = timeout(LOOK_WITHIN, turn).await.ok()?.ok()?;
        let core = self.clone();
        let look = move || {
            // Its turn lasts as long as the look, also where nobody waits for it any more.
            let _turn = turn;
            look(&core)
        };
        tokio::task::spawn_blocking(look).await.ok()
    }

    /// The queue is bounded; when it is full, the wait is not on an async thread.
    async fn enqueue(&self, submission: Submission) -> Result<(), SubmitError> {
        let message = Message::Submission(submission);
        let full = match self.inner.submissions.try_send(message) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Disconnected(_)) => return Err(SubmitError::Stopping),
            Err(TrySendError::Full(message)) => message,
        };
        let sender = self.inner.submissions.clone();
        let sent = tokio::task::spawn_blocking(move || sender.send(full).is_ok()).await;
        if matches!(sent, Ok(true)) {
            Ok(())
        } else {
            Err(SubmitError::Stopping)
        }
    }

    /// Has the sequencer end after what it was sent so far, whoever else holds on to this. Blocks
    /// while the queue is full.
    pub(crate) fn stop(&self) {
        // One that is gone already needs no telling.
        self.inner
            .submissions
            .send(Message::Stop)
            .unwrap_or_default();
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

    /// Waits until every read shows record `seq`, the projections' too; or until it is known that
    /// none ever will.
    pub async fn reached(&self, seq: Seq) {
        let mut projected = self.projected();
        tokio::select! {
            // The sender lives as long as the follower, which we hold.
            reached = projected.wait_for(|at| *at >= seq) => drop(reached),
            _ = self.inner.vitals.failed() => {}
        }
    }

    /// The newest record that [`Core::read`] shows, and how to wait for the next. Let go of what
    /// was borrowed from it before reading: the follower counts up while it holds the state.
    pub fn changes(&self) -> watch::Receiver<Seq> {
        self.inner.follower.changes()
    }

    /// The newest record whose rows are in the projections; behind [`Core::changes`] by a moment.
    pub fn projected(&self) -> watch::Receiver<Seq> {
        self.inner.follower.projected()
    }

    /// Whether all of control runs; a part that must not end by itself is watched here.
    pub fn vitals(&self) -> &Vitals {
        &self.inner.vitals
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

    /// The newest time in the journal when control started: what happened between then and now,
    /// only others saw.
    pub fn recovered(&self) -> Time {
        self.inner.recovered
    }

    /// What the last plan said that this control made.
    pub fn planned(&self) -> Option<Planned> {
        *self.inner.planned.borrow()
    }

    pub(crate) fn set_planned(&self, planned: Planned) {
        self.inner.planned.send_replace(Some(planned));
    }

    /// The writer's epoch: assignments carry it, so that a node follows the newest control.
    pub fn epoch(&self) -> u64 {
        self.inner.epoch
    }
}
