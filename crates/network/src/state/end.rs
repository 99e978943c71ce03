//! Why leases end, and who answers for it.

use minicbor::{Decode, Encode};

/// Why a lease ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, serde::Serialize)]
#[cbor(index_only)]
#[serde(rename_all = "kebab-case")]
pub enum EndReason {
    /// Its tenant stopped the workload or scaled it down.
    #[n(0)]
    Stopped,
    /// Its program ended with success.
    #[n(1)]
    Completed,
    /// Its program failed.
    #[n(2)]
    Crashed,
    /// It used more memory than its shape.
    #[n(3)]
    OutOfMemory,
    /// What it needs could not be fetched, or is not what its digest says.
    #[n(4)]
    PrepareFailed,
    /// It never became ready.
    #[n(5)]
    NeverReady,
    /// The node refuses its runtime.
    #[n(6)]
    RuntimeRefused,
    /// Its node was judged lost.
    #[n(7)]
    NodeLost,
    /// Its node's daemon restarted without it.
    #[n(8)]
    NodeRestarted,
    /// Its node drained and a successor took over.
    #[n(9)]
    Drained,
    /// Its provider left without notice.
    #[n(10)]
    ProviderLeft,
    /// Its project could not pay for the next slice.
    #[n(11)]
    BudgetExhausted,
    /// Its hard end passed.
    #[n(12)]
    TermOver,
    /// It was sold as `spot`, and what was sold under a promise needed its place.
    #[n(13)]
    GaveWay,
}

impl EndReason {
    /// Who answers for it.
    pub const fn fault(self) -> Fault {
        match self {
            Self::Stopped | Self::Completed | Self::Drained | Self::TermOver | Self::GaveWay => {
                Fault::Nobody
            }
            Self::Crashed | Self::OutOfMemory | Self::BudgetExhausted => Fault::Tenant,
            Self::NodeLost | Self::NodeRestarted | Self::ProviderLeft | Self::RuntimeRefused => {
                Fault::Provider
            }
            Self::PrepareFailed | Self::NeverReady => Fault::Unknown,
        }
    }

    /// The word used in the API and the CLI.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Completed => "completed",
            Self::Crashed => "crashed",
            Self::OutOfMemory => "out-of-memory",
            Self::PrepareFailed => "prepare-failed",
            Self::NeverReady => "never-ready",
            Self::RuntimeRefused => "runtime-refused",
            Self::NodeLost => "node-lost",
            Self::NodeRestarted => "node-restarted",
            Self::Drained => "drained",
            Self::ProviderLeft => "provider-left",
            Self::BudgetExhausted => "budget-exhausted",
            Self::TermOver => "term-over",
            Self::GaveWay => "gave-way",
        }
    }
}

/// Who answers for an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, serde::Serialize)]
#[cbor(index_only)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// The owner of the node.
    #[n(0)]
    Provider,
    /// Who wanted it run.
    #[n(1)]
    Tenant,
    /// Remuda or the way between.
    #[n(2)]
    Network,
    /// Not yet known.
    #[n(3)]
    Unknown,
    /// Nobody: it ended as wished.
    #[n(4)]
    Nobody,
}

impl Fault {
    /// The word used in the API and the CLI.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Tenant => "tenant",
            Self::Network => "network",
            Self::Unknown => "nobody yet known",
            Self::Nobody => "nobody",
        }
    }
}
