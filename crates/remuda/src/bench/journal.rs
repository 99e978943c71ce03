//! `remuda bench journal`: commands made durable, by the second and by the CPU-second.
//!
//! The loop is the sequencer's: decide each command on the state that those before it left, commit
//! it, encode its facts, append the batch, which is synced to the disk before the next one begins.

mod script;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use remuda_control::core::recover;
use remuda_control::network::network::Decision;
use remuda_control::sequencer::BATCH_MAX;
use remuda_journal::{Batch, Claim, Journal, RecordDraft};
use serde::Serialize;

use super::folder;
use super::usage::{self, rate};
use super::world::World;
use crate::clock;
use crate::context::Context;
use crate::progress;
use crate::table;
use script::Script;

/// Commands made durable: decided, appended, synced, in batches as control does it
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where the journal is written; its disk is what is measured [default: the data folder]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// How long to measure
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Nodes of the network that the commands are about
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(10..=100_000))]
    nodes: u32,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
struct Figures {
    bench: &'static str,
    durable_commands_per_s: u64,
    durable_commands_per_cpu_s: u64,
    nodes: u32,
    commands: u64,
    batches: u64,
    commands_per_batch: u64,
    events_per_command: f64,
    journal_bytes_per_command: u64,
    seconds: f64,
    cpu_seconds: f64,
}

pub(crate) fn run(args: &Args, context: &Context) -> anyhow::Result<()> {
    let wheel = progress::wheel(context.output, "making commands durable");
    let parent = args
        .dir
        .clone()
        .unwrap_or_else(|| context.environment.data_dir());
    let folder = folder::make(&parent, "--dir")?;
    let figures = measure(folder.path(), args)?;
    wheel.finish_and_clear();
    Ok(context.output.item(&figures, Figures::text)?)
}

fn measure(dir: &Path, args: &Args) -> anyhow::Result<Figures> {
    let mut journal = Journal::open(dir, Claim::Alone)?;
    let mut world = script::filled(args.nodes)?;
    let mut script = Script::new(args.nodes);
    // The first lives fill the network; what is measured is one in which as much ends as begins.
    while !script.is_steady() {
        run_batch(&mut world, &mut script, &mut journal)?;
    }
    let (mut events, mut batches) = (0, 0);
    let (wall, cpu) = (Instant::now(), usage::cpu()?);
    let span = Duration::from_secs(args.seconds);
    while wall.elapsed() < span {
        events += run_batch(&mut world, &mut script, &mut journal)?;
        batches += 1;
    }
    let (wall, cpu) = (wall.elapsed(), usage::cpu()?.saturating_sub(cpu));
    let bytes = fs::read_dir(dir)?
        .filter_map(Result::ok)
        .filter_map(|file| file.metadata().ok());
    let bytes: u64 = bytes.map(|file| file.len()).sum();
    let bytes = bytes / journal.head().last_seq.0.max(1);
    Ok(Figures {
        nodes: args.nodes,
        ..Figures::of(batches, events, bytes, wall, cpu)
    })
}

/// One batch; says how many events it had.
fn run_batch(world: &mut World, script: &mut Script, journal: &mut Journal) -> anyhow::Result<u64> {
    let mut batch = Batch {
        first_seq: journal.head().last_seq.next(),
        ..Batch::default()
    };
    let mut count = 0;
    while batch.records.len() < BATCH_MAX {
        let command = script.next(world);
        let (now, id) = (clock::now(), clock::command_id());
        let Decision::New(events) = world.network.decide(now, id, &command)? else {
            anyhow::bail!("an id was given twice");
        };
        world.network.commit(now, id, &events);
        script.learn(&events);
        count += events.len() as u64;
        batch.records.push(RecordDraft {
            at: now,
            command: id,
            body: recover::encode(&events),
        });
    }
    journal.append(&batch)?;
    Ok(count)
}

impl Figures {
    #[expect(
        clippy::cast_precision_loss,
        reason = "figures for people, far below 2^52"
    )]
    fn of(batches: u64, events: u64, bytes: u64, wall: Duration, cpu: Duration) -> Self {
        let commands = batches * BATCH_MAX as u64;
        Self {
            bench: "journal",
            durable_commands_per_s: rate(commands, wall),
            durable_commands_per_cpu_s: rate(commands, cpu),
            nodes: 0,
            commands,
            batches,
            commands_per_batch: BATCH_MAX as u64,
            events_per_command: (events as f64 / commands.max(1) as f64 * 100.0).round() / 100.0,
            journal_bytes_per_command: bytes,
            seconds: wall.as_secs_f64(),
            cpu_seconds: cpu.as_secs_f64(),
        }
    }

    fn text(&self) -> String {
        table::details(&[
            (
                "durable commands per second",
                self.durable_commands_per_s.to_string(),
            ),
            (
                "durable commands per CPU-second",
                self.durable_commands_per_cpu_s.to_string(),
            ),
            ("nodes of the network", self.nodes.to_string()),
            ("commands", self.commands.to_string()),
            (
                "commands per batch, one fsync each",
                self.commands_per_batch.to_string(),
            ),
            ("events per command", self.events_per_command.to_string()),
            (
                "bytes of journal per command",
                self.journal_bytes_per_command.to_string(),
            ),
        ])
    }
}
