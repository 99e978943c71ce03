//! `--wait`: until what was asked for is there.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use remuda_types::ReplicaId;
use remuda_wire::api::replica::{Placement, Replica, Workload};

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
    let mut phases = BTreeMap::<String, usize>::new();
    for replica in &workload.replicas {
        *phases.entry(view::phase(workload, replica)).or_default() += 1;
    }
    let phases = phases.into_iter().map(|(phase, of)| match of {
        1 => phase,
        of => format!("{of} {phase}"),
    });
    format!(
        "{}: {ready} of {} ready ({})",
        workload.name,
        workload.replicas.len(),
        phases.collect::<Vec<_>>().join(", ")
    )
}

/// Replicas by their ids.
fn by_id(workload: &Workload) -> BTreeMap<ReplicaId, &Replica> {
    let replicas = workload.replicas.iter();
    replicas.map(|replica| (replica.id, replica)).collect()
}

/// What ended between two looks: a lease that neither is still there nor has moved.
fn ends(before: &Workload, now: &Workload) -> Vec<String> {
    let lease = |of: &Option<Placement>| of.as_ref().map(|placement| placement.lease);
    let there = by_id(now);
    let ended = |was: &&Replica| {
        let is = there.get(&was.id);
        let (had, has) = (
            lease(&was.placement),
            is.and_then(|is| lease(&is.placement)),
        );
        had.is_some()
            && is.is_some()
            && has != had
            && (has.is_none() || has != lease(&was.successor))
    };
    let ended = before.replicas.iter().filter(ended).map(|was| was.id);
    ended
        .map(|id| {
            let is = there.get(&id);
            let how = is.and_then(|is| is.last_end.as_deref()).unwrap_or("ended");
            let name = &now.name;
            format!("{id}: {how}; it is tried again, `remuda logs {name}` shows its last words")
        })
        .collect()
}

/// Why a replica stands where it does is only in the answer that placed it.
fn with_reasons(mut workload: Workload, placed: &Workload) -> Workload {
    let placed = by_id(placed);
    for replica in &mut workload.replicas {
        let before = placed.get(&replica.id);
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
    let why = workload.why_waiting.as_ref();
    let why = why.map(|why| format!("; no place for those that wait: {why}"));
    let message = format!(
        "not all of it was ready within {waited}: {}{}",
        describe(workload),
        why.unwrap_or_default()
    );
    let way_out = format!(
        "`remuda logs {0}` shows why, `remuda ps` how it goes",
        workload.name
    );
    Failure::new(Exit::TimedOut, message, way_out)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn workload(lease: u128, successor: u128) -> Workload {
        let placement = |lease: u128| match lease {
            0 => Value::Null,
            lease => json!({
                "lease": remuda_types::LeaseId::from_u128(lease),
                "node": remuda_types::NodeKey([1; 32]),
                "site": remuda_types::SiteId::from_u128(1), "country": "KR",
                "provider": remuda_types::ProviderId::from_u128(1), "provider_name": "Ranch",
                "price_usd_per_hour": "1.000000", "phase": "ready", "epoch": 1,
            }),
        };
        let replica = json!({
            "id": remuda_types::ReplicaId::from_u128(1), "phase": "starting",
            "placement": placement(lease), "successor": placement(successor),
            "attempts": 1, "retry_ms": null, "last_end": "crashed", "fault": "tenant",
        });
        let workload = json!({
            "id": remuda_types::WorkloadId::from_u128(1),
            "project": remuda_types::ProjectId::from_u128(1), "name": "chat", "kind": "model",
            "state": "running", "created_ms": 0, "spec": null, "replicas": [replica],
        });
        serde_json::from_value(workload).unwrap()
    }

    #[test]
    fn an_end_is_a_lease_that_went_and_did_not_move() {
        let told = |before: (u128, u128), now: (u128, u128)| {
            ends(&workload(before.0, before.1), &workload(now.0, now.1)).len()
        };
        assert_eq!(told((1, 0), (0, 0)), 1, "it waits for another");
        assert_eq!(told((1, 0), (2, 0)), 1, "it has another");
        assert_eq!(told((1, 0), (1, 0)), 0);
        assert_eq!(told((1, 0), (1, 2)), 0, "it is about to move");
        assert_eq!(told((1, 2), (2, 0)), 0, "it has moved");
        assert_eq!(told((0, 0), (0, 0)), 0, "it waits still");
        assert_eq!(told((0, 0), (1, 0)), 0, "it was placed");
    }
}
