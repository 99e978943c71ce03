//! What can eliminate a node, in the order in which it is counted.

use std::fmt::{self, Display, Formatter};
use std::num::NonZeroU32;

use crate::request::Request;
use crate::text::{AnyOf, Gpus, Mib, Milli, Usd};

/// What eliminates a node. The order is that of [`Constraint::ALL`]: first what the node is, then
/// what it has free, then what it costs, then where the replica must not go. A node is counted
/// under the first that eliminates it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Constraint {
    /// The node takes no new replicas: it drains, or is suspect.
    NotOpen,
    /// Not one of the classes asked.
    Class,
    /// Not in one of the countries asked.
    Country,
    /// Too far from the place asked.
    Distance,
    /// Too few GPUs free, or too little of one.
    Gpu,
    /// Its GPUs have too little memory.
    GpuMemory,
    /// Too few CPU cores free.
    Cpu,
    /// Too little main memory free.
    Memory,
    /// Too little disk free.
    Disk,
    /// Too expensive.
    Price,
    /// Its owner has as many replicas as it may.
    OwnerSpread,
    /// Its site has as many replicas as it may.
    SiteSpread,
    /// The other replicas of the group are on one fabric, and this is another.
    Fabric,
    /// The request says not here.
    Avoided,
}

impl Constraint {
    /// All of them, in the order in which they are tried.
    pub const ALL: [Self; 14] = [
        Self::NotOpen,
        Self::Class,
        Self::Country,
        Self::Distance,
        Self::Gpu,
        Self::GpuMemory,
        Self::Cpu,
        Self::Memory,
        Self::Disk,
        Self::Price,
        Self::OwnerSpread,
        Self::SiteSpread,
        Self::Fabric,
        Self::Avoided,
    ];

    /// What is said of a node that this eliminates, with the request's own values: `not in KR`.
    pub fn of(self, request: &Request) -> impl Display {
        Eliminated {
            constraint: self,
            request,
        }
    }
}

impl Display for Constraint {
    /// The bare noun, as in `too little memory free`.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NotOpen => "openness",
            Self::Class => "class",
            Self::Country => "country",
            Self::Distance => "distance",
            Self::Gpu => "GPU",
            Self::GpuMemory => "GPU memory",
            Self::Cpu => "CPU",
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::Price => "price",
            Self::OwnerSpread => "owner spread",
            Self::SiteSpread => "site spread",
            Self::Fabric => "fabric",
            Self::Avoided => "avoidance",
        })
    }
}

struct Eliminated<'a> {
    constraint: Constraint,
    request: &'a Request,
}

impl Display for Eliminated<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (request, shape) = (self.request, self.request.shape());
        match self.constraint {
            Constraint::NotOpen => f.write_str("not open"),
            Constraint::Class => write!(f, "not {}", AnyOf(&request.classes)),
            Constraint::Country => write!(f, "not in {}", AnyOf(&request.countries)),
            Constraint::Distance => {
                write!(
                    f,
                    "over {} km away",
                    request.near.map_or(0, |near| near.max_distance_km)
                )
            }
            Constraint::Gpu => write!(f, "without {} free", Gpus(shape.gpu_milli)),
            Constraint::GpuMemory => write!(f, "under {}", Mib(shape.gpu_memory_mib)),
            Constraint::Cpu => write!(f, "without {} cores free", Milli(shape.cpu_milli)),
            Constraint::Memory => write!(f, "without {} of memory free", Mib(shape.memory_mib)),
            Constraint::Disk => write!(f, "without {} of disk free", Mib(shape.disk_mib)),
            Constraint::Price => write!(f, "over {}", Usd(request.max_price.unwrap_or_default())),
            Constraint::OwnerSpread => {
                write!(
                    f,
                    "of an owner that has {} already",
                    limit(request.spread.per_owner)
                )
            }
            Constraint::SiteSpread => {
                write!(
                    f,
                    "at a site that has {} already",
                    limit(request.spread.per_site)
                )
            }
            Constraint::Fabric => f.write_str("on another fabric"),
            Constraint::Avoided => f.write_str("to be avoided"),
        }
    }
}

/// What eliminates by a limit has one.
fn limit(most: Option<NonZeroU32>) -> u32 {
    most.map_or(0, NonZeroU32::get)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_the_order_of_the_enum() {
        assert!(Constraint::ALL.is_sorted());
        assert_eq!(Constraint::ALL.last(), Some(&Constraint::Avoided));
    }
}
