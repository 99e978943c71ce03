//! What a gateway is told: every deployed model, the replicas that serve it, and the keys that may ask.

use remuda_network::Network;
use remuda_network::state::{KeyOwner, Lease, Phase, Scope, Workload};
use remuda_types::{GatewayKey, LeaseId, WorkloadId};
use remuda_wire::api::WorkloadSpec;
use remuda_wire::gateway::{KeyEntry, ModelRoute, ReplicaRoute, RouteState, RouteTable};
use remuda_wire::grant::Grant;

use super::assignment::blob_url;
use super::{Doors, Sessions};
use crate::core::Core;

/// The whole table for one gateway.
pub(super) fn table(doors: &Doors, gateway: GatewayKey) -> RouteTable {
    let core = &doors.core;
    let seq = core.changes().borrow().0;
    core.read(|network| RouteTable {
        epoch: core.epoch(),
        seq,
        clock: core.clock().now(),
        models: models(doors, network, gateway),
        keys: keys(core, network),
    })
}

/// Whether two tables say the same, whenever they were made.
pub(super) fn same(a: &RouteTable, b: &RouteTable) -> bool {
    a.models == b.models && a.keys == b.keys && a.epoch == b.epoch
}

fn keys(core: &Core, network: &Network) -> Vec<KeyEntry> {
    let now = core.clock().now();
    let keys = network
        .state()
        .keys
        .iter()
        .filter(|(_, key)| key.is_valid(now));
    keys.filter_map(|(id, key)| match key.owner {
        KeyOwner::Project(project) => Some(KeyEntry {
            key: *id,
            digest: key.digest,
            project,
            expires: key.expires,
            inference: key.scopes.contains(&Scope::Inference),
            requests_per_minute: key.requests_per_minute,
        }),
        KeyOwner::Operator | KeyOwner::Provider(_) => None,
    })
    .collect()
}

fn models(doors: &Doors, network: &Network, gateway: GatewayKey) -> Vec<ModelRoute> {
    let workloads = network
        .state()
        .workloads
        .iter()
        .filter(|(_, workload)| !workload.stopping);
    workloads
        .filter_map(|(id, workload)| model(doors, network, gateway, *id, workload))
        .collect()
}

fn model(
    doors: &Doors,
    network: &Network,
    gateway: GatewayKey,
    id: WorkloadId,
    workload: &Workload,
) -> Option<ModelRoute> {
    let prices = workload.terms.tokens?;
    let vault = doors.core.vault();
    let spec: WorkloadSpec = serde_json::from_str(&vault.text(workload.terms.spec)).ok()?;
    let (wanted, file) = (spec.model?, workload.terms.model?);
    let leases = workload
        .replicas
        .iter()
        .filter_map(|replica| network.state().replicas.get(replica));
    let leases = leases.flat_map(|replica| replica.lease.into_iter().chain(replica.successor));
    let replicas = leases
        .filter_map(|lease| replica(&doors.sessions, network, gateway, lease, wanted.slots))
        .collect();
    Some(ModelRoute {
        workload: id,
        project: workload.project,
        name: spec.name,
        created: workload.created,
        model: file.digest,
        url: blob_url(&doors.core, file.digest),
        model_bytes: file.bytes,
        context_tokens: wanted.context_tokens,
        prompt_micros_per_million: prices.prompt_micros_per_million,
        completion_micros_per_million: prices.completion_micros_per_million,
        replicas,
    })
}

fn replica(
    sessions: &Sessions,
    network: &Network,
    gateway: GatewayKey,
    id: LeaseId,
    slots: u32,
) -> Option<ReplicaRoute> {
    let lease = network.state().leases.get(&id)?;
    let state = match lease.phase {
        Phase::Ready => RouteState::Ready,
        Phase::Suspect => RouteState::Suspect,
        Phase::Draining(_) => RouteState::Draining,
        Phase::Placed | Phase::Preparing | Phase::Starting => return None,
    };
    let site = network.state().sites.get(&lease.site)?;
    Some(ReplicaRoute {
        lease: id,
        lease_epoch: lease.epoch,
        replica: lease.replica,
        node: lease.node,
        addresses: sessions.addresses(&lease.node),
        country: site.country,
        state,
        grant: sessions.sign(&grant(id, lease, gateway)),
        slots,
    })
}

/// Lasts as long as the lease; ed25519 is deterministic, so the same lease gives the same grant.
const fn grant(id: LeaseId, lease: &Lease, gateway: GatewayKey) -> Grant {
    Grant {
        lease: id,
        lease_epoch: lease.epoch,
        gateway,
        node: lease.node,
        expires: lease.hard_end,
    }
}
