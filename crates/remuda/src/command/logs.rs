//! `remuda logs`: what a workload's replicas printed.

use remuda_types::ReplicaId;
use remuda_wire::api::replica::Logs;

use crate::context::Context;
use crate::find;

/// What a workload's replicas printed in their last run
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Id or name
    workload: String,
    /// Only of this replica
    #[arg(long)]
    replica: Option<ReplicaId>,
    /// Only the last lines, so many of each replica
    #[arg(long, value_name = "LINES", default_value_t = 100)]
    tail: u32,
}

pub(crate) async fn run(args: Args, context: &Context) -> anyhow::Result<()> {
    let client = context.client()?;
    let workload = find::workload(&client, &args.workload).await?;
    let replicas = match args.replica {
        Some(replica) => vec![replica],
        None => client
            .workload(workload)
            .await?
            .replicas
            .iter()
            .map(|of| of.id)
            .collect(),
    };
    let mut logs = Vec::new();
    for replica in replicas {
        logs.push(client.logs(workload, replica, args.tail).await?);
    }
    Ok(context.output.show(&logs, |logs| text(logs))?)
}

/// With several replicas, each line says whose it is.
fn text(logs: &[Logs]) -> String {
    let several = logs.len() > 1;
    let line = |of: &Logs, line: &str| {
        if several {
            format!("{}  {line}", of.replica)
        } else {
            line.to_owned()
        }
    };
    let lines: Vec<String> = logs
        .iter()
        .flat_map(|of| of.lines.iter().map(move |text| line(of, text)))
        .collect();
    lines.join("\n")
}
