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
use std::time::Duration;

use remuda_journal::{AppendError, Batch, Claim, Journal, RecordDraft, Seq, Side, Snapshots};
use remuda_network::network::Decision;
use remuda_network::{Command, Event, Network, Refusal};
use remuda_types::{CommandId, Span, Time};
use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::core::recover::{self, RecoverError};

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
    read_only: Option<ReadOnly>,
}

struct ReadOnly {
    why: Arc<str>,
    retry_at: Time,
    must_reopen: bool,
}

/// A decided command that waits for the journal.
struct Waiting {
    reply: Option<oneshot::Sender<Result<Receipt, SubmitError>>>,
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
    ) -> Self {
        Self {
            network,
            journal,
            dir,
            snapshots,
            clock,
            publish,
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
                let refused = Err(SubmitError::ReadOnly {
                    why: Arc::clone(&why),
                });
                submission.reply.send(refused).unwrap_or_default();
            }
            return;
        }
        let mut group = Group::default();
        group.batch.first_seq = self.journal.head().last_seq.next();
        for submission in arrived {
            self.decide(&mut group, submission);
        }
        self.tick(&mut group);
        if !group.waiting.is_empty() {
            self.commit(group);
        }
    }

    fn decide(&mut self, group: &mut Group, submission: Submission) {
        let Submission {
            id,
            command,
            sides,
            reply,
        } = submission;
        let now = self.clock.now();
        match self.network.decide(now, id, &command) {
            Ok(Decision::New(events)) => self.enter(group, now, id, events, sides, Some(reply)),
            Ok(Decision::Repeat) => {
                let seq = group.last_seq();
                let receipt = Receipt {
                    seq,
                    events: Arc::from([]),
                    repeat: true,
                };
                group.waiting.push(Waiting {
                    reply: Some(reply),
                    receipt,
                });
            }
            Err(refusal) => reply.send(Err(refusal.into())).unwrap_or_default(),
        }
    }

    fn enter(
        &mut self,
        group: &mut Group,
        at: Time,
        command: CommandId,
        events: Vec<Event>,
        sides: Vec<Side>,
        reply: Option<oneshot::Sender<Result<Receipt, SubmitError>>>,
    ) {
        self.network.commit(at, command, &events);
        let seq = group.last_seq().next();
        let body = recover::encode(&events);
        group.batch.records.push(RecordDraft { at, command, body });
        group.batch.sides.extend(sides);
        let events: Arc<[Event]> = events.into();
        group.committed.push(Committed {
            seq,
            at,
            command,
            events: Arc::clone(&events),
        });
        let receipt = Receipt {
            seq,
            events,
            repeat: false,
        };
        group.waiting.push(Waiting { reply, receipt });
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
                self.enter(group, now, id, events, Vec::new(), None);
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
                for Waiting { reply, receipt } in waiting {
                    if let Some(reply) = reply {
                        reply.send(Ok(receipt)).unwrap_or_default();
                    }
                }
            }
            Err(error) => self.fail(&error, waiting),
        }
    }

    /// Nothing of the batch is kept or answered with success.
    fn fail(&mut self, error: &AppendError, waiting: Vec<Waiting>) {
        let why: Arc<str> = recover::chain(error).into();
        tracing::error!(%why, "control is read-only");
        for Waiting { reply, .. } in waiting {
            let refused = Err(SubmitError::ReadOnly {
                why: Arc::clone(&why),
            });
            if let Some(reply) = reply {
                reply.send(refused).unwrap_or_default();
            }
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

impl Group {
    fn last_seq(&self) -> Seq {
        let before = self.batch.first_seq.0.saturating_sub(1);
        Seq(before).plus(self.batch.records.len() as u64)
    }
}
