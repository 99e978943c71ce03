//! `remuda bench failover`: what it takes until a lost node is noticed, streams go on and another
//! replica is ready.
//!
//! A whole network runs on this machine with a model on two of three nodes. Each round breaks the
//! node that serves a stream, measures, heals the node and waits until all is as before. Times are
//! this machine's clock on both sides: when the fault was made, and control's events.

mod fault;
mod load;
mod measure;
mod topology;

use std::path::PathBuf;

use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::progress;
use crate::up::{ModelFile, SEATS};
use fault::Fault;
use measure::{Figures, Ground};
use topology::Topology;

/// Failover: nodes are killed, frozen and cut off while they serve
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How often each fault is made
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    n: u32,
    /// Only these faults
    #[arg(long = "fault", value_name = "FAULT", value_delimiter = ',')]
    faults: Vec<Fault>,
    /// The model: a GGUF file or where to fetch one [default: the one `make model` fetches]
    #[arg(long, value_name = "FILE|URL")]
    model: Option<String>,
    /// The first of the network's ports
    #[arg(long, value_name = "PORT", default_value_t = 17_400,
          value_parser = clap::value_parser!(u16).range(1_024..=65_000))]
    port_base: u16,
    /// Where the network of this run is kept; removed afterwards [default: the data folder]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(crate) async fn run(args: Args, context: &Context) -> anyhow::Result<()> {
    let model = ModelFile::find(args.model.as_deref(), context).await?;
    let parent = args
        .dir
        .clone()
        .unwrap_or_else(|| context.environment.data_dir());
    let folder = super::folder::make(&parent, "--dir")?;
    let topology = Topology::build(SEATS.len());
    let log = context.global.log.clone();
    let mut ground = Ground::prepare(folder.path(), args.port_base, &model, &topology, log).await?;
    let measured = all(&args, &topology, &mut ground, context).await;
    ground.clear().await;
    measured
}

async fn all(
    args: &Args,
    topology: &Topology,
    ground: &mut Ground,
    context: &Context,
) -> anyhow::Result<()> {
    let faults = if args.faults.is_empty() {
        Fault::ALL.to_vec()
    } else {
        args.faults.clone()
    };
    let mut refused = None;
    for fault in faults {
        match topology.can(fault) {
            Ok(()) => {
                let figures = rounds(args.n, fault, topology, ground, context).await?;
                context.output.item(&figures, Figures::text)?;
            }
            Err(why) => {
                context.output.note(&format!("{fault} is left out: {why}"));
                refused = Some(why);
            }
        }
    }
    refused.map_or(Ok(()), |why| {
        let way_out = "run it as root with iproute2 installed, or name other faults with --fault";
        Err(Failure::new(Exit::Refused, why, way_out).into())
    })
}

async fn rounds(
    n: u32,
    fault: Fault,
    topology: &Topology,
    ground: &mut Ground,
    context: &Context,
) -> anyhow::Result<Figures> {
    let mut figures = Figures::new(fault)?;
    let bar = progress::count(context.output, format!("{fault}"), u64::from(n));
    for _ in 0..n {
        let round = ground.round(fault, topology).await?;
        tracing::info!(%fault, ?round, "a round");
        figures.take(&round);
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(figures)
}
