//! `remuda audit`: the journal's proof, checked with nothing but its file.

use std::path::PathBuf;

use clap::Subcommand;
use remuda_journal::{OpenError, ReadError, Reader, Seq, Verified, verify};
use remuda_types::Digest;
use serde::Serialize;

use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::progress;
use crate::table::details;

/// Check the journal's proof, offline
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Recompute the hash chain over all records
    Verify {
        /// Control's data folder, or a copy of it
        dir: PathBuf,
        /// Trust what lies before this record
        #[arg(long, value_name = "SEQ", default_value_t = 1)]
        from: u64,
        /// The head it must have, as somebody else kept it
        #[arg(long, value_name = "DIGEST")]
        head: Option<Digest>,
    },
}

/// What was found to be whole.
#[derive(Serialize)]
struct Whole {
    records: u64,
    batches: u64,
    last_seq: u64,
    head: Digest,
}

pub(crate) fn run(command: &Command, context: &Context) -> anyhow::Result<()> {
    let Command::Verify { dir, from, head } = command;
    let reader = Reader::open(dir).map_err(unopened)?;
    let wheel = progress::wheel(context.output, "recomputing the chain");
    let verified = verify(&reader, Seq(*from)).map_err(unverified)?;
    wheel.finish_and_clear();
    let whole = Whole::of(&verified);
    if let Some(expected) = head.filter(|expected| *expected != whole.head) {
        return Err(other_head(expected, whole.head).into());
    }
    Ok(context.output.show(&whole, |whole| {
        details(&[
            (
                "whole",
                format!("{} records in {} batches", whole.records, whole.batches),
            ),
            ("last record", whole.last_seq.to_string()),
            ("head", whole.head.to_string()),
        ])
    })?)
}

impl Whole {
    const fn of(verified: &Verified) -> Self {
        Self {
            records: verified.records,
            batches: verified.batches,
            last_seq: verified.committed.last_seq.0,
            head: verified.committed.head.0,
        }
    }
}

/// The text of these errors holds the way out.
pub(super) fn unopened(error: OpenError) -> Failure {
    let exit = match &error {
        OpenError::Corrupt(_) => Exit::Unverified,
        OpenError::Absent { .. } | OpenError::NotAJournal { .. } => Exit::Usage,
        OpenError::AlreadyOpen { .. }
        | OpenError::Schema { .. }
        | OpenError::Full { .. }
        | OpenError::Io { .. } => Exit::Internal,
    };
    let way_out = "name control's data folder: the one that holds `journal.db`";
    Failure::new(exit, "the journal cannot be opened", way_out).caused_by(error)
}

pub(super) fn unverified(error: ReadError) -> Failure {
    match error {
        ReadError::Tampered(_) | ReadError::Corrupt(_) => {
            let way_out =
                "do not trust this copy: compare it with another, and with heads that others kept";
            Failure::new(
                Exit::Unverified,
                "the journal is not what was committed",
                way_out,
            )
            .caused_by(error)
        }
        ReadError::Io(_) => {
            let way_out = "look at the disk, then verify again; nothing is known about the content";
            Failure::new(Exit::Internal, "the journal was not verified", way_out).caused_by(error)
        }
    }
}

fn other_head(expected: Digest, found: Digest) -> Failure {
    let message = format!("the journal's head is {found}, not {expected}");
    let way_out = "a tail was cut off, or this is another journal: compare it with other copies";
    Failure::new(Exit::Unverified, message, way_out)
}
