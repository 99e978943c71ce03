//! What a node is told: every replica that the network has placed on it.

use remuda_network::Network;
use remuda_network::state::{Lease, Phase};
use remuda_types::{Digest, LeaseId, NodeKey};
use remuda_wire::api::WorkloadSpec;
use remuda_wire::node::{Assigned, Assignment, AssignmentStamp, Wanted};
use remuda_wire::spec::{EngineSpec, HealthCheck, ProcessSpec, ReplicaSpec, RuntimeSpec};

use crate::core::Core;
use crate::vault::Vault;

/// How long a replica may take from a polite request to stop until it is killed.
const STOP_GRACE_MS: u64 = 10_000;

/// Between readiness probes of a process.
const HEALTH_INTERVAL_MS: u64 = 1_000;

/// Failed probes that make a replica unready.
const HEALTH_FAILURES: u32 = 3;

/// The node's whole assignment as the network has it now. The stamp is the caller's.
pub(super) fn of(core: &Core, node: NodeKey) -> Vec<Assigned> {
    core.read(|network| {
        let leases = network.state().nodes.get(&node).map(|node| &node.leases);
        let leases = leases.into_iter().flatten();
        leases
            .filter_map(|id| assigned(core, network, *id))
            .collect()
    })
}

/// An assignment of these replicas.
pub(super) fn stamped(core: &Core, generation: u64, replicas: Vec<Assigned>) -> Assignment {
    Assignment {
        stamp: AssignmentStamp {
            epoch: core.epoch(),
            generation,
        },
        replicas,
    }
}

fn assigned(core: &Core, network: &Network, id: LeaseId) -> Option<Assigned> {
    let lease = network.state().leases.get(&id)?;
    let spec = replica_spec(core, network, lease)?;
    let wanted = match lease.phase {
        Phase::Draining(deadline) => Wanted::Drain(deadline),
        Phase::Placed | Phase::Preparing | Phase::Starting | Phase::Ready | Phase::Suspect => {
            Wanted::Run
        }
    };
    Some(Assigned {
        lease: id,
        lease_epoch: lease.epoch,
        replica: lease.replica,
        workload: lease.workload,
        hard_end: lease.hard_end,
        wanted,
        spec,
    })
}

/// The workload's spec as its tenant wrote it.
pub(crate) fn workload_spec(
    vault: &Vault,
    network: &Network,
    lease: &Lease,
) -> Option<WorkloadSpec> {
    let workload = network.state().workloads.get(&lease.workload)?;
    serde_json::from_str(&vault.text(workload.terms.spec)).ok()
}

fn replica_spec(core: &Core, network: &Network, lease: &Lease) -> Option<ReplicaSpec> {
    let spec = workload_spec(core.vault(), network, lease)?;
    let (runtime, health) = match (spec.model, spec.process) {
        (Some(model), _) => {
            let found = network
                .state()
                .workloads
                .get(&lease.workload)?
                .terms
                .model?;
            let engine = EngineSpec {
                model: found.digest,
                model_bytes: found.bytes,
                url: blob_url(core, found.digest),
                context_tokens: model.context_tokens,
                slots: model.slots,
                threads: model.threads,
            };
            (RuntimeSpec::Engine(engine), None)
        }
        (None, Some(process)) => {
            let health = process.port.map(|port| HealthCheck {
                port,
                path: process.health_path,
                interval_ms: HEALTH_INTERVAL_MS,
                failures: HEALTH_FAILURES,
            });
            let process = ProcessSpec {
                command: process.command,
                env: process.env,
            };
            (RuntimeSpec::Process(process), health)
        }
        (None, None) => return None,
    };
    Some(ReplicaSpec {
        shape: lease.shape,
        runtime,
        health,
        stop_grace_ms: STOP_GRACE_MS,
    })
}

/// Where control serves a model's file.
pub(crate) fn blob_url(core: &Core, digest: Digest) -> String {
    format!("{}/v1/blobs/{digest}", core.config().public_url)
}
