//! `--wait`: until what was asked for is there.

use std::time::{Duration, Instant};

use remuda_wire::api::replica::{Replica, Workload};

use crate::client::Client;
use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::{progress, view};

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
        let now = client.workload(workload.id).await?;
        for end in ends(&workload, &now) {
            wheel.suspend(|| context.output.note(&end));
        }
        workload = now;
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
    let phases: Vec<String> = workload
        .replicas
        .iter()
        .map(|replica| view::phase(workload, replica))
        .collect();
    format!(
        "{}: {ready} of {} ready ({})",
        workload.name,
        phases.len(),
        phases.join(", ")
    )
}

/// What ended between two looks and is tried again.
fn ends(before: &Workload, now: &Workload) -> Vec<String> {
    let attempts = |replica: &Replica| {
        let same = before.replicas.iter().find(|same| same.id == replica.id);
        same.map_or(0, |same| same.attempts)
    };
    let again = now
        .replicas
        .iter()
        .filter(|now| now.attempts > attempts(now));
    again
        .filter_map(|replica| {
            let (id, end) = (replica.id, replica.last_end.as_ref()?);
            let name = &now.name;
            Some(format!(
                "{id} ended ({end}) and is tried again: `remuda logs {name}` shows its last words"
            ))
        })
        .collect()
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
