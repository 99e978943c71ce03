//! `--wait`: until what was asked for is there.

use std::time::{Duration, Instant};

use remuda_wire::api::replica::Workload;

use crate::client::Client;
use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::progress;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Whether and how long to wait.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Wait {
    /// Wait until all replicas are ready
    #[arg(long)]
    wait: bool,
    /// How long to wait, as in `90s`
    #[arg(long, value_name = "SPAN", default_value = "10m", value_parser = humantime::parse_duration)]
    timeout: Duration,
}

/// The workload when all its replicas are ready; as it is when nobody waits.
pub(super) async fn until_ready(
    client: &Client,
    context: &Context,
    mut workload: Workload,
    wait: &Wait,
) -> anyhow::Result<Workload> {
    if !wait.wait {
        return Ok(workload);
    }
    let wheel = progress::wheel(context.output, "");
    let deadline = Instant::now() + wait.timeout;
    let placed = workload.clone();
    while !is_ready(&workload) {
        if Instant::now() > deadline {
            return Err(too_late(&workload, wait.timeout).into());
        }
        wheel.set_message(describe(&workload));
        tokio::time::sleep(LOOK_EVERY).await;
        workload = client.workload(workload.id).await?;
    }
    wheel.finish_and_clear();
    context.output.note(&format!("{} is ready", workload.name));
    Ok(with_reasons(workload, &placed))
}

fn is_ready(workload: &Workload) -> bool {
    workload
        .replicas
        .iter()
        .all(|replica| replica.phase == "ready")
}

fn describe(workload: &Workload) -> String {
    let ready = workload
        .replicas
        .iter()
        .filter(|replica| replica.phase == "ready")
        .count();
    let phases: Vec<&str> = workload
        .replicas
        .iter()
        .map(|replica| replica.phase.as_str())
        .collect();
    format!(
        "{}: {ready} of {} ready ({})",
        workload.name,
        phases.len(),
        phases.join(", ")
    )
}

/// Why a replica stands where it does is only in the answer that placed it.
fn with_reasons(mut workload: Workload, placed: &Workload) -> Workload {
    for replica in &mut workload.replicas {
        let before = placed
            .replicas
            .iter()
            .find(|before| before.id == replica.id);
        let before = before.and_then(|before| before.placement.as_ref());
        if let (Some(now), Some(before)) = (&mut replica.placement, before)
            && now.lease == before.lease
        {
            now.why.clone_from(&before.why);
        }
    }
    workload
}

fn too_late(workload: &Workload, waited: Duration) -> Failure {
    let waited = humantime::format_duration(waited);
    let message = format!(
        "not all of it was ready within {waited}: {}",
        describe(workload)
    );
    let way_out = format!(
        "`remuda logs {0}` shows why, `remuda ps` how it goes",
        workload.name
    );
    Failure::new(Exit::TimedOut, message, way_out)
}
