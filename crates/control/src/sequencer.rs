//! The sequencer: one thread that decides, makes durable, then answers. Never in another order.
//!
//! Commands that arrive while a batch is being written form the next one, so the busier it is the
//! larger the batches. A decided command is applied to the sequencer's own network at once (the next
//! one in the batch must see it) and answered only when the journal has it. When an append fails,
//! nothing of the batch is kept or answered with success: the network is rebuilt from the journal
//! and commands are refused, with the reason, until an append works again. It never loops.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use remuda_journal::{AppendError, Batch, Claim, Journal, RecordDraft, Seq, Side, Snapshots};
use remuda_network::network::Decision;
use remuda_network::{Command, Event, Network, Refusal};
use remuda_types::{CommandId, Span, Time};
use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::core::recover::{self, RecoverError};
use crate::metrics::{self, Metrics};

/// The most commands in one batch.
pub const BATCH_MAX: usize = 1_000;

/// Between looks at what is due.
const TICK: Duration = Duration::from_millis(50);

/// While the journal cannot be written, an append is tried again this often.
const RETRY: Span = Span::from_secs(1);

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
    Committed(Vec<Committed>),
    /// Whether control can write, and if not, why.
    Writable(Result<(), Arc<str>>),
}

/// The thread's state.
pub(crate) struct Sequencer {
    network: Network,
    journal: Journal,
    dir: PathBuf,
    snapshots: Snapshots,
    clock: Arc<Clock>,
    publish: SyncSender<Publication>,
    metrics: Metrics,
    read_only: Option<ReadOnly>,
}

struct ReadOnly {
    why: Arc<str>,
    retry_at: Time,
    must_reopen: bool,
}

/// Who sent a command and how to answer; nobody waits for the clock's own.
struct Sender {
    kind: &'static str,
    reply: Option<oneshot::Sender<Result<Receipt, SubmitError>>>,
}

/// A decided command that waits for the journal.
struct Waiting {
    sender: Sender,
    receipt: Receipt,
}

#[derive(Default)]
struct Group {
    batch: Batch,
    committed: Vec<Committed>,
    waiting: Vec<Waiting>,
}

impl Sequencer {
    pub(crate) fn new(
        network: Network,
        (journal, dir, snapshots): (Journal, PathBuf, Snapshots),
        clock: Arc<Clock>,
        publish: SyncSender<Publication>,
        metrics: Metrics,
    ) -> Self {
        Self {
            network,
            journal,
            dir,
            snapshots,
            clock,
            publish,
            metrics,
            read_only: None,
        }
    }

    /// Runs until every sender is gone.
    pub(crate) fn run(mut self, submissions: &Receiver<Submission>) {
        loop {
            let first = match submissions.recv_timeout(TICK) {
                Ok(submission) => Some(submission),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let more = first
                .into_iter()
                .chain(submissions.try_iter())
                .take(BATCH_MAX);
            let arrived: Vec<_> = more.collect();
            self.round(arrived);
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
        if self.network.index().next_due().is_none_or(|due| due > now) {
            return;
        }
        let id = self.clock.command_id();
        match self.network.decide(now, id, &Command::Tick) {
            Ok(Decision::New(events)) if !events.is_empty() => {
                let sender = Sender {
                    kind: metrics::kind(&Command::Tick),
                    reply: None,
                };
                self.enter(group, (now, id), events, sender);
            }
            Ok(_) => {}
            Err(refusal) => tracing::error!(%refusal, "a tick was refused"),
        }
    }

    fn commit(&mut self, group: Group) {
        let Group {
            batch,
            committed,
            waiting,
        } = group;
        match self.journal.append(&batch) {
            Ok(_) => {
                // The follower outlives the sequencer; without it there is nobody left to tell.
                self.publish
                    .send(Publication::Committed(committed))
                    .unwrap_or_default();
                for Waiting { sender, receipt } in waiting {
                    let outcome = if receipt.repeat { "repeat" } else { "done" };
                    self.metrics.command(sender.kind, outcome);
                    sender.answer(Ok(receipt));
                }
            }
            Err(error) => self.fail(&error, waiting),
        }
    }

    /// Nothing of the batch is kept or answered with success.
    fn fail(&mut self, error: &AppendError, waiting: Vec<Waiting>) {
        let why: Arc<str> = recover::chain(error).into();
        tracing::error!(%why, "control is read-only");
        for Waiting { sender, .. } in waiting {
            self.refuse_read_only(sender, &why);
        }
        // Who was fenced has lost the journal to another control and must not take it back.
        let retry_at = match error {
            AppendError::Fenced { .. } => Time::FOREVER,
            _ => self.clock.now() + RETRY,
        };
        let must_reopen = !matches!(
            error,
            AppendError::Full { .. } | AppendError::TooLarge { .. }
        );
        self.publish
            .send(Publication::Writable(Err(Arc::clone(&why))))
            .unwrap_or_default();
        self.read_only = Some(ReadOnly {
            why,
            retry_at,
            must_reopen,
        });
        self.restore();
    }

    fn refuse_read_only(&self, sender: Sender, why: &Arc<str>) {
        self.metrics.command(sender.kind, "read-only");
        let why = Arc::clone(why);
        sender.answer(Err(SubmitError::ReadOnly { why }));
    }

    /// The network as the journal has it.
    fn restore(&mut self) {
        match recover::network(self.journal.view(), Some(&self.snapshots)) {
            Ok(recovered) => self.network = recovered.network,
            Err(error) => self.stay_read_only(&error),
        }
    }

    fn stay_read_only(&mut self, error: &RecoverError) {
        let why: Arc<str> = recover::chain(error).into();
        tracing::error!(%why, "the journal cannot be read back");
        let retry_at = self.clock.now() + RETRY;
        self.read_only = Some(ReadOnly {
            why,
            retry_at,
            must_reopen: true,
        });
    }

    /// Why control is read-only, if it still is: once a second an empty append is tried.
    fn still_read_only(&mut self) -> Option<Arc<str>> {
        let now = self.clock.now();
        let read_only = self.read_only.as_mut()?;
        let why = Arc::clone(&read_only.why);
        if now < read_only.retry_at {
            return Some(why);
        }
        read_only.retry_at = now + RETRY;
        match self.try_to_write() {
            Ok(()) => {
                tracing::info!("control can write again");
                self.read_only = None;
                self.publish
                    .send(Publication::Writable(Ok(())))
                    .unwrap_or_default();
                None
            }
            Err(error) => Some(recover::chain(error.as_ref()).into()),
        }
    }

    fn try_to_write(&mut self) -> Result<(), Box<dyn std::error::Error>> {
        if self
            .read_only
            .as_ref()
            .is_some_and(|read_only| read_only.must_reopen)
        {
            self.journal = Journal::open(&self.dir, Claim::TakeOver)?;
            self.network = recover::network(self.journal.view(), Some(&self.snapshots))?.network;
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
}

impl Sender {
    fn of(command: &Command, reply: oneshot::Sender<Result<Receipt, SubmitError>>) -> Self {
        let kind = metrics::kind(command);
        let reply = Some(reply);
        Self { kind, reply }
    }

    /// Whoever no longer waits learns the answer by sending the same id again.
    fn answer(self, answer: Result<Receipt, SubmitError>) {
        if let Some(reply) = self.reply {
            reply.send(answer).unwrap_or_default();
        }
    }
}

impl Group {
    fn enter(&mut self, record: RecordDraft, events: Arc<[Event]>, sender: Sender) {
        let seq = self.last_seq().next();
        self.committed.push(Committed {
            seq,
            at: record.at,
            command: record.command,
            events: Arc::clone(&events),
        });
        self.batch.records.push(record);
        let receipt = Receipt {
            seq,
            events,
            repeat: false,
        };
        self.waiting.push(Waiting { sender, receipt });
    }

    /// What was done before is answered when all before it is durable.
    fn repeat(&mut self, sender: Sender) {
        let receipt = Receipt {
            seq: self.last_seq(),
            events: Arc::from([]),
            repeat: true,
        };
        self.waiting.push(Waiting { sender, receipt });
    }

    fn last_seq(&self) -> Seq {
        let before = self.batch.first_seq.0.saturating_sub(1);
        Seq(before).plus(self.batch.records.len() as u64)
    }
}
