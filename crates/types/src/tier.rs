//! Tiers, kinds of workload and how replicas stand: closed sets that every room matches without a default arm.

use std::fmt;
use std::str::FromStr;

use crate::share::Share;

macro_rules! closed_set {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $n:literal $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
            minicbor::Encode, minicbor::Decode, serde::Serialize, serde::Deserialize,
        )]
        #[cbor(index_only)]
        pub enum $name {
            $($(#[$vdoc])* #[n($n)] #[serde(rename = $text)] $variant,)*
        }

        impl $name {
            /// All of them, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word used in the API and the CLI.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                Self::ALL.iter().copied().find(|v| v.as_str() == text).ok_or_else(|| {
                    let words: Vec<_> = Self::ALL.iter().map(|v| v.as_str()).collect();
                    format!("`{text}` is not one of {}", words.join(", "))
                })
            }
        }
    };
}

closed_set! {
    /// The promise a lease is sold under.
    Tier {
        /// No promise; interrupted minutes are free.
        0 Spot = "spot",
        /// 99.5 % for the instance.
        1 Standard = "standard",
        /// 99.9 % for the instance, a warm standby.
        2 Enterprise = "enterprise",
        /// 99.99 % for the service: of its replicas a sixth at most with one owner and on one site,
        /// unless it says otherwise.
        3 MultiSite = "multi-site",
    }
}

closed_set! {
    /// What kind of thing a workload is.
    WorkloadKind {
        /// A long-running server.
        0 Service = "service",
        /// A language model behind the gateway.
        1 Model = "model",
        /// A run that ends, possibly a gang.
        2 Job = "job",
        /// A whole machine.
        3 Machine = "machine",
        /// A streamed game or desktop.
        4 Session = "session",
    }
}

closed_set! {
    /// Whether the replicas of one workload must stand together.
    #[derive(Default)]
    Together {
        /// Each may stand anywhere.
        #[default]
        0 Anywhere = "anywhere",
        /// On one fabric: at one site, on nodes of one class.
        1 Fabric = "fabric",
    }
}

impl Tier {
    /// Whether a workload is promised as a whole, and so is not to rest on one owner or site.
    pub const fn spreads_owners(self) -> bool {
        matches!(self, Self::MultiSite)
    }

    /// The most of a workload's replicas that one owner or one site has, unless the workload says so
    /// itself.
    ///
    /// Of few replicas each has one. With one each a service of 24 needs 24 owners, and pays what the
    /// dearest of them asks; with a sixth it loses about that when one goes, until it is
    /// elsewhere.
    pub const fn share(self) -> Option<Share> {
        match self {
            Self::Spot | Self::Standard | Self::Enterprise => None,
            Self::MultiSite => Some(Share::SIXTH),
        }
    }

    /// The most of a workload's replicas that one owner or one site may be let have, in percent.
    /// With half of them there are two at least, unless there is one replica.
    pub const fn max_share_percent(self) -> u32 {
        match self {
            Self::Spot | Self::Standard | Self::Enterprise => 100,
            Self::MultiSite => 50,
        }
    }
}
