//! What travels between control and machines.

use remuda_assignment::{Assignment, LeaseAt};
use remuda_liveness::Probe;
use remuda_network::absence::Gap;
use remuda_network::command::ObservedPhase;
use remuda_types::{Capacity, NodeKey, Time};

/// One line of a report.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) at: LeaseAt,
    pub(crate) phase: ObservedPhase,
    /// By the machine's clock.
    pub(crate) since: Time,
}

/// What a machine says of itself.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) node: NodeKey,
    pub(crate) boot: u64,
    pub(crate) seq: u64,
    pub(crate) capacity: Capacity,
    pub(crate) seen: Vec<Seen>,
    /// When it stood still; read as a session begins.
    pub(crate) pauses: Vec<Gap>,
}

/// One message.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    /// To control.
    Report(Report),
    /// To control: the answer to a probe.
    Answer(Probe),
    /// To a machine: all that it is to run.
    Assignment(NodeKey, Assignment),
    /// To a machine: are you there?
    Probe(Probe),
}

impl Message {
    /// The machine that it comes from or goes to.
    pub(crate) const fn machine(&self) -> NodeKey {
        match self {
            Self::Report(report) => report.node,
            Self::Assignment(node, _) => *node,
            Self::Answer(probe) | Self::Probe(probe) => probe.node,
        }
    }
}
