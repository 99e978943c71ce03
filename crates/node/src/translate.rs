//! Between the words of the wire and those of the reconciler.

use remuda_assignment as plan;
use remuda_types::Digest;
use remuda_wire::node as wire;
use remuda_wire::spec::{ReplicaSpec, RuntimeSpec};

/// The digest by which the reconciler knows a spec. Where a model is fetched from is not part of it:
/// a control that has moved does not replace what runs.
pub(crate) fn spec_digest(spec: &ReplicaSpec) -> Digest {
    let mut spec = spec.clone();
    if let RuntimeSpec::Engine(engine) = &mut spec.runtime {
        engine.url.clear();
    }
    // Encoding to memory cannot fail.
    Digest::of(&minicbor::to_vec(&spec).unwrap_or_default())
}

/// An assignment as the reconciler takes it.
pub(crate) fn assignment(offered: &wire::Assignment) -> Result<plan::Assignment, plan::Doubled> {
    plan::Assignment::new(stamp(offered.stamp), offered.replicas.iter().map(assigned))
}

fn assigned(assigned: &wire::Assigned) -> plan::Assigned {
    plan::Assigned {
        lease: assigned.lease,
        lease_epoch: assigned.lease_epoch,
        replica: assigned.replica,
        workload: assigned.workload,
        hard_end: assigned.hard_end,
        wanted: match assigned.wanted {
            wire::Wanted::Run => plan::Wanted::Run,
            wire::Wanted::Drain(deadline) => plan::Wanted::Drain { deadline },
        },
        spec_digest: spec_digest(&assigned.spec),
    }
}

/// Control's stamp as the reconciler takes it.
pub(crate) fn stamp(stamp: wire::AssignmentStamp) -> plan::Stamp {
    plan::Stamp {
        epoch: stamp.epoch,
        generation: stamp.generation,
    }
}

/// What is held, as it is told to control; the oldest of all stamps when nothing is.
pub(crate) fn holds(stamp: Option<plan::Stamp>) -> wire::AssignmentStamp {
    stamp.map_or_else(wire::AssignmentStamp::default, |stamp| {
        wire::AssignmentStamp {
            epoch: stamp.epoch,
            generation: stamp.generation,
        }
    })
}

/// Why a replica ended, as the reconciler takes it.
pub(crate) fn exit(reason: wire::ExitReason) -> plan::Exit {
    match reason {
        wire::ExitReason::Stopped => plan::Exit::Stopped,
        wire::ExitReason::Completed => plan::Exit::Completed,
        wire::ExitReason::Crashed => plan::Exit::Crashed,
        wire::ExitReason::OutOfMemory => plan::Exit::OutOfMemory,
        wire::ExitReason::PrepareFailed => plan::Exit::PrepareFailed,
        wire::ExitReason::NeverReady => plan::Exit::NeverReady,
        wire::ExitReason::LeaseEnded => plan::Exit::LeaseEnded,
        wire::ExitReason::RuntimeRefused => plan::Exit::RuntimeRefused,
        wire::ExitReason::DaemonRestarted => plan::Exit::DaemonRestarted,
    }
}

#[cfg(test)]
mod tests {
    use remuda_types::Shape;
    use remuda_wire::spec::EngineSpec;

    use super::*;

    fn spec(model: &[u8], url: &str) -> ReplicaSpec {
        ReplicaSpec {
            shape: Shape::default(),
            runtime: RuntimeSpec::Engine(EngineSpec {
                model: Digest::of(model),
                model_bytes: 7,
                url: url.to_owned(),
                context_tokens: 64,
                slots: 1,
                threads: 1,
            }),
            health: None,
            stop_grace_ms: 1,
        }
    }

    #[test]
    fn a_model_that_is_fetched_from_elsewhere_is_the_same_replica() {
        let held = spec_digest(&spec(b"weights", "http://here/v1/blobs/1"));
        assert_eq!(
            held,
            spec_digest(&spec(b"weights", "https://there/v1/blobs/1"))
        );
        assert_ne!(
            held,
            spec_digest(&spec(b"others", "http://here/v1/blobs/1"))
        );
    }
}
