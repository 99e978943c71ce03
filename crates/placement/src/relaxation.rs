//! The smallest single change to a request that would give a replica a place.

use std::fmt::{self, Display, Formatter};
use std::num::NonZeroU32;

use remuda_types::{Class, Country, Price, Shape};

use crate::ask::Ask;
use crate::constraint::Constraint;
use crate::request::{Avoid, Request, Together};
use crate::text::{Gpus, Mib, Milli, Usd};
use crate::view::{Has, View};

/// One change to a request; as text, `try a maximum price of 2.40 USD/h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Relaxation {
    /// Take this class too.
    Class(Class),
    /// Take this country too.
    Country(Country),
    /// Take what is this far away, in km.
    DistanceKm(u32),
    /// Ask for only this much of GPUs, in thousandths.
    GpuMilli(u64),
    /// Ask for only this much memory of each GPU.
    GpuMemoryMib(u64),
    /// Ask for only this much CPU, in thousandths of a core.
    CpuMilli(u64),
    /// Ask for only this much main memory.
    MemoryMib(u64),
    /// Ask for only this much disk.
    DiskMib(u64),
    /// Pay up to this much by the hour.
    MaxPrice(Price),
    /// Let an owner have so many replicas, and each of its sites.
    PerOwner(NonZeroU32),
    /// Let a site have so many replicas.
    PerSite(NonZeroU32),
    /// Let replicas stand on several fabrics.
    ShareNoFabric,
    /// Avoid nothing.
    AvoidNothing,
}

/// How large a change is: in thousandths of what was asked, where that is a number.
type Size = u64;

/// How the changes that would help are ordered; the least is named.
type Order = (Size, Constraint, Price);

/// The size of a change that is not one of number: as large as half again of what was asked.
const OTHER_KIND: Size = 500;
/// The size of giving up a promise: as large as doubling or dropping what was asked.
const LESS_SAFE: Size = 1_000;

impl Relaxation {
    /// The smallest change that would admit one of the nodes. Only a node that a single constraint
    /// keeps out is admitted by a single change. Equal sizes: the order of the constraints, then
    /// the lower price, then the change that sorts first.
    pub(crate) fn smallest<'a>(views: impl Iterator<Item = View<'a>>) -> Option<Self> {
        let change = |view: View<'a>| {
            let constraint = view.only_failure()?;
            let has = view.has()?;
            let (size, relaxation) = admitting(&view, has, constraint)?;
            let order: Order = (size, constraint, has.offering.quote(view.request.shape()));
            Some((order, relaxation))
        };
        let smallest = views.filter_map(change).min();
        smallest.map(|(_, relaxation)| relaxation)
    }

    /// The request with this change made.
    #[must_use]
    pub fn applied_to(self, request: &Request) -> Request {
        let mut relaxed = request.clone();
        match self {
            Self::Class(class) => relaxed.classes.push(class),
            Self::Country(country) => relaxed.countries.push(country),
            Self::MaxPrice(price) => relaxed.max_price = Some(price),
            Self::PerOwner(most) => {
                relaxed.spread.per_owner = Some(most);
                let per_site = relaxed.spread.per_site;
                relaxed.spread.per_site = per_site.map(|at_site| at_site.max(most));
            }
            Self::PerSite(most) => relaxed.spread.per_site = Some(most),
            Self::ShareNoFabric => {
                (relaxed.together, relaxed.fabric) = (Together::Anywhere, None);
            }
            Self::AvoidNothing => relaxed.avoid = Avoid::default(),
            Self::DistanceKm(km) => {
                if let Some(near) = &mut relaxed.near {
                    near.max_distance_km = km;
                }
            }
            Self::GpuMilli(_)
            | Self::GpuMemoryMib(_)
            | Self::CpuMilli(_)
            | Self::MemoryMib(_)
            | Self::DiskMib(_) => relaxed.ask = self.smaller_ask(request.ask),
        }
        relaxed
    }

    /// The ask with one amount lowered; as it is if the amount makes no sense there.
    fn smaller_ask(self, ask: Ask) -> Ask {
        let shape = *ask.shape();
        let smaller = match self {
            Self::GpuMilli(gpu_milli) => Shape { gpu_milli, ..shape },
            Self::GpuMemoryMib(gpu_memory_mib) => Shape {
                gpu_memory_mib,
                ..shape
            },
            Self::CpuMilli(cpu_milli) => Shape { cpu_milli, ..shape },
            Self::MemoryMib(memory_mib) => Shape {
                memory_mib,
                ..shape
            },
            Self::DiskMib(disk_mib) => Shape { disk_mib, ..shape },
            Self::Class(_)
            | Self::Country(_)
            | Self::DistanceKm(_)
            | Self::MaxPrice(_)
            | Self::PerOwner(_)
            | Self::PerSite(_)
            | Self::ShareNoFabric
            | Self::AvoidNothing => shape,
        };
        Ask::new(smaller).unwrap_or(ask)
    }
}

/// The change that admits a node which only `constraint` keeps out, and its size. `None` where no
/// request could have the node: it is not open, or has none of what is asked.
fn admitting(
    view: &View<'_>,
    Has { free, offering }: Has<'_>,
    constraint: Constraint,
) -> Option<(Size, Relaxation)> {
    let (request, common) = (view.request, view.common);
    let shape = request.shape();
    match constraint {
        Constraint::NotOpen => None,
        Constraint::Class => Some((OTHER_KIND, Relaxation::Class(common.class))),
        Constraint::Country => Some((OTHER_KIND, Relaxation::Country(common.country))),
        Constraint::Distance => farther(view),
        Constraint::Gpu => {
            let most = free.most_gpu_milli(request.ask.gpus());
            less(shape.gpu_milli, most, Relaxation::GpuMilli)
        }
        Constraint::GpuMemory => less(
            shape.gpu_memory_mib,
            offering.capacity.gpu_memory_mib,
            Relaxation::GpuMemoryMib,
        ),
        Constraint::Cpu => less(shape.cpu_milli, free.cpu_milli(), Relaxation::CpuMilli),
        Constraint::Memory => less(shape.memory_mib, free.memory_mib(), Relaxation::MemoryMib),
        Constraint::Disk => less(shape.disk_mib, free.disk_mib(), Relaxation::DiskMib),
        Constraint::Price => {
            let (max, quote) = (request.max_price?.micros_per_hour(), offering.quote(shape));
            let size = size(quote.micros_per_hour().saturating_sub(max), max);
            Some((size, Relaxation::MaxPrice(quote)))
        }
        Constraint::OwnerSpread => one_more(view.siblings().0, Relaxation::PerOwner),
        Constraint::SiteSpread => one_more(view.siblings().1, Relaxation::PerSite),
        Constraint::Fabric => Some((LESS_SAFE, Relaxation::ShareNoFabric)),
        Constraint::Avoided => Some((LESS_SAFE, Relaxation::AvoidNothing)),
    }
}

/// Asking for less, but for something.
fn less(asked: u64, has: u64, relaxation: fn(u64) -> Relaxation) -> Option<(Size, Relaxation)> {
    (has > 0).then(|| (size(asked.saturating_sub(has), asked), relaxation(has)))
}

/// Letting an owner or a site that has so many replicas have one more.
fn one_more(has: u32, relaxation: fn(NonZeroU32) -> Relaxation) -> Option<(Size, Relaxation)> {
    let most = NonZeroU32::new(has)?.checked_add(1)?;
    Some((LESS_SAFE, relaxation(most)))
}

fn farther(view: &View<'_>) -> Option<(Size, Relaxation)> {
    let max = view.request.near?.max_distance_km;
    let needed = rounded_up_km(view.distance_km()?);
    let size = size(u64::from(needed.saturating_sub(max)), u64::from(max));
    Some((size, Relaxation::DistanceKm(needed)))
}

/// `change` in thousandths of `asked`, rounded up; the largest there is where nothing was asked.
fn size(change: u64, asked: u64) -> Size {
    if asked == 0 {
        return Size::MAX;
    }
    let milli = (u128::from(change) * 1_000).div_ceil(u128::from(asked));
    Size::try_from(milli).unwrap_or(Size::MAX)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a distance on the Earth is between 0 and 20,100 km"
)]
fn rounded_up_km(distance_km: f64) -> u32 {
    distance_km.ceil() as u32
}

impl Display for Relaxation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("try ")?;
        match self {
            Self::Class(class) => write!(f, "allowing the class {class}"),
            Self::Country(country) => write!(f, "allowing {country}"),
            Self::DistanceKm(km) => write!(f, "allowing {km} km"),
            Self::GpuMilli(milli) => write!(f, "{}", Gpus(*milli)),
            Self::GpuMemoryMib(mib) => write!(f, "GPUs of {}", Mib(*mib)),
            Self::CpuMilli(milli) => write!(f, "{} cores", Milli(*milli)),
            Self::MemoryMib(mib) => write!(f, "{} of memory", Mib(*mib)),
            Self::DiskMib(mib) => write!(f, "{} of disk", Mib(*mib)),
            Self::MaxPrice(price) => write!(f, "a maximum price of {}", Usd(*price)),
            Self::PerOwner(most) => write!(f, "letting an owner have {most} replicas"),
            Self::PerSite(most) => write!(f, "letting a site have {most} replicas"),
            Self::ShareNoFabric => f.write_str("letting replicas stand on several fabrics"),
            Self::AvoidNothing => f.write_str("avoiding nothing"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_shares_of_what_was_asked() {
        assert_eq!(size(10, 200), 50);
        assert_eq!(size(1, u64::MAX), 1);
        assert_eq!(size(u64::MAX, 1), u64::MAX);
        assert_eq!(size(1, 0), u64::MAX);
    }

    #[test]
    fn an_amount_that_makes_no_sense_changes_nothing() {
        let request = Request::new(Shape {
            gpu_milli: 1_000,
            gpu_memory_mib: 1,
            ..Shape::default()
        });
        let request = request.unwrap();
        assert_eq!(Relaxation::GpuMilli(0).applied_to(&request), request);
        assert_eq!(
            Relaxation::GpuMilli(500)
                .applied_to(&request)
                .shape()
                .gpu_milli,
            500
        );
    }
}
