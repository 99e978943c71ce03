//! `remuda bench`: measures what this machine does with the programs' own parts.
//!
//! Nothing here is a model of the real thing: [`journal`] runs the sequencer's loop on a journal
//! with its `fsync`, [`failover`] runs a whole network and takes its nodes away, [`liveness`] holds
//! sessions with a control that runs, [`packing`] gives a recorded cluster's tasks to placement and
//! to the policies of others, [`cost`] a made-up world's demand to placement under plans and to
//! rules of thumb, [`correlation`] places replicas by what one half of a record teaches of sites
//! that fail together, and judges them by the other, [`routing`] has a trace's requests sent to
//! simulated replicas by the gateway's balancer and by the rules of others.

mod correlation;
mod cost;
mod failover;
mod folder;
mod journal;
mod liveness;
mod packing;
mod placement;
mod routing;
mod usage;
mod world;

use clap::Subcommand;

use crate::context::Context;

/// Measure this machine with the network's own parts
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Journal(journal::Args),
    Failover(failover::Args),
    Liveness(liveness::Args),
    Packing(packing::Args),
    Placement(placement::Args),
    Cost(cost::Args),
    Correlation(correlation::Args),
    Routing(routing::Args),
}

pub(crate) async fn run(args: Args, context: &Context) -> anyhow::Result<()> {
    match args.what {
        What::Journal(args) => journal::run(&args, context),
        What::Failover(args) => Box::pin(failover::run(args, context)).await,
        What::Liveness(args) => Box::pin(liveness::run(args, context)).await,
        What::Packing(args) => packing::run(&args, context),
        What::Placement(args) => placement::run(&args, context),
        What::Cost(args) => cost::run(&args, context),
        What::Correlation(args) => correlation::run(&args, context),
        What::Routing(args) => routing::run(&args, context),
    }
}
