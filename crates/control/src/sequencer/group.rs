//! The commands of one batch: decided, and waiting for the journal.

use std::sync::Arc;

use remuda_journal::{Batch, RecordDraft, Seq};
use remuda_network::{Command, Event};
use tokio::sync::oneshot;

use super::{Committed, Receipt, SubmitError};
use crate::metrics;

/// Who sent a command and how to answer; nobody waits for the clock's own.
pub(super) struct Sender {
    pub(super) kind: &'static str,
    pub(super) reply: Option<oneshot::Sender<Result<Receipt, SubmitError>>>,
}

/// A decided command that waits for the journal.
pub(super) struct Waiting {
    pub(super) sender: Sender,
    pub(super) receipt: Receipt,
}

#[derive(Default)]
pub(super) struct Group {
    pub(super) batch: Batch,
    pub(super) committed: Vec<Committed>,
    pub(super) waiting: Vec<Waiting>,
}

impl Sender {
    pub(super) fn of(
        command: &Command,
        reply: oneshot::Sender<Result<Receipt, SubmitError>>,
    ) -> Self {
        let kind = metrics::kind(command);
        let reply = Some(reply);
        Self { kind, reply }
    }

    /// Whoever no longer waits learns the answer by sending the same id again.
    pub(super) fn answer(self, answer: Result<Receipt, SubmitError>) {
        if let Some(reply) = self.reply {
            reply.send(answer).unwrap_or_default();
        }
    }
}

impl Group {
    pub(super) fn enter(&mut self, record: RecordDraft, events: Arc<[Event]>, sender: Sender) {
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
    pub(super) fn repeat(&mut self, sender: Sender) {
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
