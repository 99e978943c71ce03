//! `remuda ps`, `scale` and `stop`: what runs.

use remuda_types::WorkloadId;
use serde::Serialize;

use super::deploy;
use super::wait::Wait;
use crate::context::Context;
use crate::{find, view};

/// What runs, where, and how it goes
#[derive(Debug, clap::Args)]
pub(crate) struct PsArgs {
    /// Only of this project: id or name
    #[arg(long)]
    project: Option<String>,
}

/// Change how many copies run
#[derive(Debug, clap::Args)]
pub(crate) struct ScaleArgs {
    /// Id or name
    workload: String,
    /// How many there are to be
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    replicas: u32,
    #[command(flatten)]
    wait: Wait,
}

/// Stop what runs
#[derive(Debug, clap::Args)]
pub(crate) struct StopArgs {
    /// Id or name
    workload: String,
}

/// A workload that was told to stop.
#[derive(Serialize)]
struct Stopping {
    id: WorkloadId,
    state: &'static str,
}

pub(crate) async fn ps(args: PsArgs, context: &Context) -> anyhow::Result<()> {
    let client = context.client()?;
    let mut workloads = client.workloads(&[]).await?;
    if let Some(project) = args.project {
        let project = find::project(&client, &project).await?;
        workloads.retain(|workload| workload.project == project);
    }
    Ok(context
        .output
        .table(&workloads, |all| view::workloads(all))?)
}

pub(crate) async fn scale(args: ScaleArgs, context: &Context) -> anyhow::Result<()> {
    let client = context.client()?;
    let workload = find::workload(&client, &args.workload).await?;
    let workload = client.scale(workload, args.replicas).await?;
    deploy::finish(&client, context, workload, &args.wait).await
}

pub(crate) async fn stop(args: StopArgs, context: &Context) -> anyhow::Result<()> {
    let client = context.client()?;
    let id = find::workload(&client, &args.workload).await?;
    client.stop(id).await?;
    let stopping = Stopping {
        id,
        state: "stopping",
    };
    Ok(context
        .output
        .show(&stopping, |it| format!("{} is {}", it.id, it.state))?)
}
