//! What the detector says: probes to send, and verdicts that changed.

use std::fmt;

use remuda_types::{NodeKey, Span, Time};

use crate::evidence::Evidence;

/// One thing the detector says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this probe, and tell the detector what became of it. A failure need not be told: a
    /// probe without an answer fails by itself after the policy's timeout.
    Probe(Probe),
    /// A verdict changed.
    Verdict(Transition),
    /// No node at all is heard: verdicts are held until one is. Operators want to know.
    Isolated {
        /// When it was noticed.
        at: Time,
        /// When a node was last heard.
        last_heard: Time,
    },
    /// The end of `Isolated`: a node was heard, and all have a fresh window.
    Reached {
        /// When it was heard.
        at: Time,
    },
    /// Control itself was paused; all nodes have a fresh window.
    Paused {
        /// When it went on.
        at: Time,
        /// How late the tick came.
        late: Span,
    },
}

/// What control holds of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It was heard lately.
    Alive,
    /// It should have been heard; it is questioned. Not routed to, still owned.
    Suspect,
    /// It did not answer. Its replicas are placed elsewhere; it comes back by a new session.
    Lost,
}

/// A verdict that changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// Whose.
    pub node: NodeKey,
    /// The verdict before.
    pub from: Verdict,
    /// The verdict now.
    pub to: Verdict,
    /// Since when.
    pub at: Time,
    /// The last sign of life, this transition's own included.
    pub last_seen: Time,
    /// Why.
    pub evidence: Evidence,
}

/// One question to one node: are you there?
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Probe {
    /// Whom to ask.
    pub node: NodeKey,
    /// From where.
    pub vantage: Vantage,
    /// Counts the probes to this node; with several gateways, spread by it.
    pub attempt: u32,
}

/// From where a probe is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Vantage {
    /// From control's own machine.
    Control,
    /// From a gateway.
    Gateway,
}

/// The vantage points there are. Control is always one; without a gateway it sends all the probes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vantages {
    /// Gateways connected now.
    pub gateways: usize,
}

impl Vantages {
    /// Who sends the probe number `ordinal` of a round.
    pub(crate) const fn pick(self, ordinal: u8) -> Vantage {
        if self.gateways > 0 && ordinal % 2 == 1 {
            Vantage::Gateway
        } else {
            Vantage::Control
        }
    }
}

impl fmt::Display for Vantage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Control => "control",
            Self::Gateway => "a gateway",
        })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Alive => "alive",
            Self::Suspect => "suspect",
            Self::Lost => "lost",
        })
    }
}
