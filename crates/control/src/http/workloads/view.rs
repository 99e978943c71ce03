//! A workload as it is.

use remuda_network::Network;
use remuda_network::state::{EndReason, Phase, Replica as StateReplica, Workload as StateWorkload};
use remuda_types::{LeaseId, ReplicaId, Time, WorkloadId};
use remuda_wire::api::UsdPerHour;
use remuda_wire::api::replica::{Placement, Replica, Workload};

use crate::core::Core;

/// The workload with its replicas, while it is not over.
pub(in crate::http) fn view(core: &Core, network: &Network, id: WorkloadId) -> Option<Workload> {
    let workload = network.state().workloads.get(&id)?;
    let replicas = workload.replicas.iter();
    let replicas = replicas.filter_map(|id| Some((*id, network.state().replicas.get(id)?)));
    Some(Workload {
        id,
        project: workload.project,
        name: core.vault().text(workload.terms.label),
        kind: workload.terms.kind.as_str().to_owned(),
        state: state(workload).to_owned(),
        created_ms: workload.created.as_millis(),
        spec: serde_json::from_str(&core.vault().text(workload.terms.spec)).ok(),
        replicas: replicas
            .map(|(id, of)| replica(core, network, id, of))
            .collect(),
        why_waiting: None,
    })
}

const fn state(workload: &StateWorkload) -> &'static str {
    if workload.stopping {
        "stopping"
    } else {
        "running"
    }
}

fn replica(core: &Core, network: &Network, id: ReplicaId, of: &StateReplica) -> Replica {
    let phase = of
        .lease
        .and_then(|lease| network.state().leases.get(&lease));
    Replica {
        id,
        phase: phase
            .map_or("waiting", |lease| lease.phase.as_str())
            .to_owned(),
        placement: of.lease.and_then(|lease| placement(core, network, lease)),
        successor: of
            .successor
            .and_then(|lease| placement(core, network, lease)),
        attempts: of.attempts,
        retry_ms: of.retry.map(Time::as_millis),
        last_end: of.last_end.map(EndReason::as_str).map(str::to_owned),
        fault: of.last_end.map(|end| end.fault().as_str().to_owned()),
    }
}

fn placement(core: &Core, network: &Network, id: LeaseId) -> Option<Placement> {
    let lease = network.state().leases.get(&id)?;
    let site = network.state().sites.get(&lease.site)?;
    let provider = network.state().providers.get(&lease.provider)?;
    Some(Placement {
        lease: id,
        node: lease.node,
        site: lease.site,
        country: site.country,
        provider: lease.provider,
        provider_name: core.vault().text(provider.label),
        price_usd_per_hour: UsdPerHour(lease.price),
        phase: Phase::as_str(lease.phase).to_owned(),
        epoch: lease.epoch,
        why: None,
    })
}
