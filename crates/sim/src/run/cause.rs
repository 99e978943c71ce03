//! What keeps a replica from serving.

use std::fmt;

/// What keeps a replica from serving.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// Its node failed.
    Node,
    /// Its site lost power or network.
    Site,
    /// Its provider left.
    Exit,
    /// Its region was cut off from the rest.
    Region,
    /// Capacity went as an outside trace says.
    Trace,
    /// Its node was suspected, or ended it, without a fault of its own.
    Suspicion,
    /// It moved from a node that drains.
    Move,
    /// There was no node for it.
    Capacity,
    /// Anything else.
    Other,
}

impl Cause {
    /// All of them, in order.
    pub const ALL: [Self; 9] = [
        Self::Node,
        Self::Site,
        Self::Exit,
        Self::Region,
        Self::Trace,
        Self::Suspicion,
        Self::Move,
        Self::Capacity,
        Self::Other,
    ];

    /// The word used in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Site => "site",
            Self::Exit => "exit",
            Self::Region => "region",
            Self::Trace => "trace",
            Self::Suspicion => "suspicion",
            Self::Move => "move",
            Self::Capacity => "capacity",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
