//! Between the words of the wire and those of the reconciler.

use remuda_assignment as plan;
use remuda_types::Digest;
use remuda_wire::node as wire;
use remuda_wire::spec::ReplicaSpec;

/// The digest by which the reconciler knows a spec.
pub(crate) fn spec_digest(spec: &ReplicaSpec) -> Digest {
    // Encoding to memory cannot fail.
    Digest::of(&minicbor::to_vec(spec).unwrap_or_default())
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
