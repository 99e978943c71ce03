//! The replay of a recorded journal, as far as it is what was committed.

use std::path::Path;

use remuda_control::core::recover;
use remuda_journal::{Reader, Seq};
use remuda_sim::run::Replay;

use super::Args;
use crate::command::audit::{unopened, unverified};
use crate::command::replay::unread;
use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::progress;

/// The journal's records, one after another, through the network.
pub(super) fn replay(dir: &Path, args: &Args, context: &Context) -> anyhow::Result<()> {
    let reader = Reader::open(dir).map_err(unopened)?;
    let wheel = progress::wheel(context.output, "replaying the journal");
    let mut replay = Replay::new();
    let mut records = 0_u64;
    for batch in reader.batches(Seq::NONE.next()).map_err(unverified)? {
        for record in batch.map_err(unverified)?.records {
            let events = recover::decode(&record).map_err(unread)?;
            replay.feed(record.at, record.command, &events)?;
            records += 1;
        }
    }
    if records == 0 {
        return Err(empty(dir).into());
    }
    let outcome = replay.finish("a recorded history, as control believed it")?;
    wheel.finish_and_clear();
    args.tell((&outcome, &[]), &dir.display().to_string(), context)
}

fn empty(dir: &Path) -> Failure {
    let message = format!("the journal in {} has no records", dir.display());
    let way_out = "name the data folder of a control that has worked; if this one has, its records were taken \
                   away: compare it with another copy";
    Failure::new(Exit::Usage, message, way_out)
}
