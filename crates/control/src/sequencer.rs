//! The sequencer: one thread that decides, makes durable, then answers. Never in another order.
//!
//! Commands that arrive while a batch is being written form the next one, so the busier it is the
//! larger the batches. A decided command is applied to the sequencer's own network at once (the next
//! one in the batch must see it) and answered only when the journal has it. When an append fails,
//! nothing of the batch is kept or answered with success: the network is rebuilt from the journal
//! and commands are refused, with the reason, until an append works again. It never loops. Once
//! another control has the journal, this one is fenced and stays so.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use remuda_journal::{
    AppendError, Batch, ChainHead, Journal, Record, RecordDraft, Seq, Side, Snapshots,
};
use remuda_network::network::Decision;
use remuda_network::repack::Rounds;
use remuda_network::{Command, Event, Network, Refusal};
use remuda_types::{CommandId, Time};
use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::core::recover::{self, RecoverError, Recovered};
use crate::metrics::{self, Metrics};
use crate::vault::Vault;

mod group;
mod standing;

use group::{Group, Sender, Waiting};
use standing::{RetryError, Standing};

/// The most commands in one batch.
pub const BATCH_MAX: usize = 1_000;

/// Between looks at what is due.
const TICK: Duration = Duration::from_millis(50);

/// Between looks for kept answers that have expired, and how many go in one transaction.
const EXPIRE_EVERY: Duration = Duration::from_mins(1);
const EXPIRED_AT_ONCE: u32 = 1_000;

/// A command on its way.
#[derive(Debug)]
pub struct Submission {
    /// Chosen by whoever sends it: the same id again is the same command.
    pub id: CommandId,
    /// What is asked.
    pub command: Command,
    /// Rows that must be durable with its facts.
    pub sides: Vec<Side>,
    /// Where the answer goes.
    pub reply: oneshot::Sender<Result<Receipt, SubmitError>>,
}

/// A command that is durable.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// The journal's number of it; for a repeat, of the newest record.
    pub seq: Seq,
    /// What it caused; nothing for a repeat.
    pub events: Arc<[Event]>,
    /// Whether the same command had been done before.
    pub repeat: bool,
}

/// Why a command was not done.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SubmitError {
    /// The network refused it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The journal cannot be written: control serves reads only.
    #[error("control is read-only: {why}")]
    ReadOnly {
        /// What the journal said, and the way out.
        why: Arc<str>,
    },
    /// Control is stopping.
    #[error("control is stopping: send it again when it is back")]
    Stopping,
}

/// One command's facts, durable.
#[derive(Clone, Debug)]
pub struct Committed {
    /// Its number.
    pub seq: Seq,
    /// When it was decided.
    pub at: Time,
    /// The command.
    pub command: CommandId,
    /// What it caused.
    pub events: Arc<[Event]>,
}

/// What the sequencer tells the follower.
#[derive(Debug)]
pub enum Publication {
    /// These are durable, in this order.
    Committed {
        /// What is new; nothing after a batch of repeats.
        records: Vec<Committed>,
        /// The chain's head after them.
        head: ChainHead,
    },
    /// Whether control can write, and if not, why.
    Writable(Result<(), Arc<str>>),
}

/// What the sequencer is sent.
#[derive(Debug)]
pub(crate) enum Message {
    /// A command.
    Submission(Submission),
    /// Do what came before, then end: whoever still holds a sender is refused.
    Stop,
}

/// The thread's state.
pub(crate) struct Sequencer {
    network: Network,
    journal: Journal,
    snapshots: Snapshots,
    vault: Vault,
    clock: Arc<Clock>,
    publish: SyncSender<Publication>,
    metrics: Metrics,
    standing: Standing,
    /// The newest record that the follower was told of.
    published: Seq,
    expire_at: Instant,
    /// Until then nothing that is due of leases is brought about by the clock, and spot is spared.
    adopting_until: Instant,
    repacking: Rounds,
}

impl Sequencer {
    pub(crate) fn new(
        recovered: Recovered,
        (journal, snapshots, vault): (Journal, Snapshots, Vault),
        clock: Arc<Clock>,
        publish: SyncSender<Publication>,
        (adopting, metrics): (Duration, Metrics),
    ) -> Self {
        // Without leases there is nobody to hear first.
        let back = !recovered.network.state().leases.is_empty();
        let adopting = if back { adopting } else { Duration::ZERO };
        let mut network = recovered.network;
        network.spare_spot(!adopting.is_zero());
        Self {
            network,
            journal,
            snapshots,
            vault,
            clock,
            publish,
            metrics,
            standing: Standing::Writing,
            published: recovered.seq,
            expire_at: Instant::now(),
            adopting_until: Instant::now() + adopting,
            repacking: Rounds::default(),
        }
    }

    /// Runs until it is stopped or every sender is gone.
    pub(crate) fn run(mut self, messages: &Receiver<Message>) {
        loop {
            let first = match messages.recv_timeout(TICK) {
                Ok(message) => Some(message),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let (arrived, stop) = arrived(first, messages);
            self.round(arrived);
            if stop {
                return;
            }
        }
    }

    fn round(&mut self, arrived: Vec<Submission>) {
        if let Some(why) = self.still_read_only() {
            for submission in arrived {
                self.refuse_read_only(Sender::of(&submission.command, submission.reply), &why);
            }
            return;
        }
        let begun = Instant::now();
        let mut group = Group::default();
        group.batch.first_seq = self.journal.head().last_seq.next();
        for submission in arrived {
            self.decide(&mut group, submission);
        }
        self.tick(&mut group);
        if !group.waiting.is_empty() {
            self.commit(group);
            self.metrics.committed(begun.elapsed());
        }
        self.expire();
    }

    fn decide(&mut self, group: &mut Group, submission: Submission) {
        let Submission {
            id,
            command,
            sides,
            reply,
        } = submission;
        let sender = Sender::of(&command, reply);
        let now = self.clock.now();
        match self.network.decide(now, id, &command) {
            Ok(Decision::New(events)) => {
                group.batch.sides.extend(sides);
                self.enter(group, (now, id), events, sender);
            }
            Ok(Decision::Repeat) => group.repeat(sender),
            Err(refusal) => {
                self.metrics.command(sender.kind, refusal.code());
                sender.answer(Err(refusal.into()));
            }
        }
    }

    fn enter(
        &mut self,
        group: &mut Group,
        (at, command): (Time, CommandId),
        events: Vec<Event>,
        sender: Sender,
    ) {
        self.network.commit(at, command, &events);
        let body = recover::encode(&events);
        group.enter(RecordDraft { at, command, body }, events.into(), sender);
    }

    /// Brings about what the clock says is due.
    fn tick(&mut self, group: &mut Group) {
        let now = self.clock.now();
        let adopting = Instant::now() < self.adopting_until;
        self.network.spare_spot(adopting);
        if self
            .network
            .index()
            .next_due()
            .is_some_and(|due| due <= now)
        {
            self.bring_about(group, now, &Command::Tick { adopting });
        }
        if adopting {
            return;
        }
        if let Some(command) = self.repacking.due(now, self.network.state()) {
            self.bring_about(group, now, &command);
        }
    }

    fn bring_about(&mut self, group: &mut Group, now: Time, command: &Command) {
        let id = self.clock.command_id();
        match self.network.decide(now, id, command) {
            Ok(Decision::New(events)) if !events.is_empty() => {
                let sender = Sender {
                    kind: metrics::kind(command),
                    reply: None,
                };
                self.enter(group, (now, id), events, sender);
            }
            Ok(_) => {}
            Err(refusal) => tracing::error!(%refusal, "what the clock asked was refused"),
        }
    }

    fn commit(&mut self, group: Group) {
        let Group {
            batch,
            committed,
            waiting,
        } = group;
        match self.journal.append(&batch) {
            Ok(at) => {
                self.publish(committed, at);
                for Waiting { sender, receipt } in waiting {
                    let outcome = if receipt.repeat { "repeat" } else { "done" };
                    self.metrics.command(sender.kind, outcome);
                    sender.answer(Ok(receipt));
                }
            }
            Err(error) => self.fail(error, waiting),
        }
    }

    fn publish(&mut self, records: Vec<Committed>, at: remuda_journal::Committed) {
        self.published = at.last_seq;
        // The follower outlives the sequencer; without it there is nobody left to tell.
        self.publish
            .send(Publication::Committed {
                records,
                head: at.head,
            })
            .unwrap_or_default();
    }

    /// Removes answers that nobody may ask for any more, some at a time.
    fn expire(&mut self) {
        if self.standing.why().is_some() || Instant::now() < self.expire_at {
            return;
        }
        let now = self.clock.now();
        match self.journal.expire_idempotency(now, EXPIRED_AT_ONCE) {
            // There may be more: they go with the next rounds.
            Ok(removed) if removed >= EXPIRED_AT_ONCE as usize => {}
            Ok(_) => self.expire_at = Instant::now() + EXPIRE_EVERY,
            Err(error) => self.fail(error, Vec::new()),
        }
    }

    /// Nothing of the batch is kept or answered with success.
    fn fail(&mut self, error: AppendError, waiting: Vec<Waiting>) {
        let error = RetryError::from(error);
        let why: Arc<str> = recover::chain(&error).into();
        for Waiting { sender, .. } in waiting {
            self.refuse_read_only(sender, &why);
        }
        self.stand(Standing::after(&error));
        if self.standing.is_fenced() {
            return;
        }
        if let Err(error) = self.restore() {
            self.stand(Standing::after(&error.into()));
        }
    }

    /// Says whether control can write, where that has changed.
    fn stand(&mut self, standing: Standing) {
        let (before, why) = (self.standing.why(), standing.why());
        self.standing = standing;
        if before == why {
            return;
        }
        if let Some(why) = &why {
            tracing::error!(%why, "control is read-only");
        } else {
            tracing::info!("control can write again");
        }
        let writable = why.map_or(Ok(()), Err);
        self.publish
            .send(Publication::Writable(writable))
            .unwrap_or_default();
    }

    fn refuse_read_only(&self, sender: Sender, why: &Arc<str>) {
        self.metrics.command(sender.kind, "read-only");
        let why = Arc::clone(why);
        sender.answer(Err(SubmitError::ReadOnly { why }));
    }

    /// The network as the journal has it.
    fn restore(&mut self) -> Result<(), RecoverError> {
        self.network = recover::network(self.journal.view(), &self.snapshots)?.network;
        Ok(())
    }

    /// Why control is read-only, if it still is: once a second it is tried to write.
    fn still_read_only(&mut self) -> Option<Arc<str>> {
        if let Some(reopen) = self.standing.due(Instant::now()) {
            let tried = self.try_to_write(reopen);
            let standing =
                tried.map_or_else(|error| Standing::after(&error), |()| Standing::Writing);
            self.stand(standing);
        }
        self.standing.why()
    }

    fn try_to_write(&mut self, reopen: bool) -> Result<(), RetryError> {
        if reopen {
            self.journal.reopen()?;
            self.restore()?;
            self.publish_missed()?;
        }
        let probe = Side::Meta {
            key: "writable".to_owned(),
            value: vec![0; 4_096],
        };
        let first_seq = self.journal.head().last_seq.next();
        self.journal.append(&Batch {
            first_seq,
            records: Vec::new(),
            sides: vec![probe],
        })?;
        Ok(())
    }

    /// An append that failed may have reached the disk after all: then the journal has records, and
    /// beside them texts, of which nobody was told.
    fn publish_missed(&mut self) -> Result<(), RetryError> {
        let mut missed = Vec::new();
        for batch in self.journal.view().batches(self.published.next())? {
            let batch = batch?;
            let records = batch.records.iter();
            let new = records.filter(|record| record.seq > self.published);
            let new = new.map(Committed::read).collect::<Result<Vec<_>, _>>()?;
            missed.push((new, batch.committed));
        }
        if !missed.is_empty() {
            self.vault.restore(self.journal.view());
        }
        for (records, at) in missed {
            self.publish(records, at);
        }
        Ok(())
    }
}

/// What has arrived, at most [`BATCH_MAX`] commands, and whether to stop after it.
fn arrived(first: Option<Message>, more: &Receiver<Message>) -> (Vec<Submission>, bool) {
    let mut arrived = Vec::new();
    for message in first.into_iter().chain(more.try_iter()).take(BATCH_MAX) {
        match message {
            Message::Submission(submission) => arrived.push(submission),
            Message::Stop => return (arrived, true),
        }
    }
    (arrived, false)
}

impl Committed {
    /// A record as it is read back.
    pub(crate) fn read(record: &Record) -> Result<Self, RecoverError> {
        Ok(Self {
            seq: record.seq,
            at: record.at,
            command: record.command,
            events: recover::decode(record)?.into(),
        })
    }
}
