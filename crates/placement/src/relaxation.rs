//! The smallest single change to a request that would give it a place, all of it.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::num::NonZeroU32;

use remuda_types::{Class, Country, Price, Shape};

use crate::ask::Ask;
use crate::constraint::Constraint;
use crate::request::{Request, Together};
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
    /// Let an owner have so many replicas.
    PerOwner(NonZeroU32),
    /// Let a site have so many replicas.
    PerSite(NonZeroU32),
    /// Let an owner have so many replicas, and a site too.
    PerOwnerAndSite(NonZeroU32),
    /// Let replicas stand on several fabrics.
    ShareNoFabric,
    /// Ask for only so many replicas.
    Replicas(NonZeroU32),
}

/// How large a change is: in thousandths of what was asked, where that is a number.
type Size = u64;

/// How changes that would help are ordered, the least first: by size; then by the order of the
/// constraints; then by the change as it is, in its own unit; then by the price of what it admits.
type Order = (Size, Constraint, u64, Price);

/// Changes that would admit a node each, and their order.
#[derive(Debug, Default)]
pub(crate) struct Changes(BTreeMap<Relaxation, Order>);

/// So many changes are tried at most: each takes a look at every state that nodes are in.
const TRIED: u32 = 24;
/// And so many of one kind that are not less or more than each other.
const TRIED_ALIKE: usize = 4;

/// The size of a change that is not one of number: as large as half again of what was asked.
const OTHER_KIND: Size = 500;
/// The size of giving up a promise: as large as doubling or dropping what was asked.
const LESS_SAFE: Size = 1_000;

impl Changes {
    /// Notes what would admit these nodes. Only nodes that a single constraint keeps out are
    /// admitted by a single change; `missing` replicas are to have a place in all.
    pub(crate) fn note(&mut self, view: &View<'_>) {
        let change = view
            .only_failure()
            .zip(view.has())
            .and_then(|(constraint, has)| {
                let price = has.offering.quote(view.request.shape());
                let change = admitting(view, has, constraint)?;
                Some(((change.size, constraint, change.by, price), change.to))
            });
        if let Some((order, to)) = change {
            let known = self.0.entry(to).or_insert(order);
            *known = order.min(*known);
        }
    }

    /// The smallest of those that help so many replicas of the request; of as many as are tried.
    pub(crate) fn smallest(
        self,
        (request, replicas): (&Request, u32),
        helps: impl Fn(Relaxation) -> bool,
    ) -> Option<Relaxation> {
        let left = Cell::new(TRIED);
        let helps = |change| {
            let may_try = left.get().checked_sub(1);
            may_try.is_some_and(|less| {
                left.set(less);
                helps(change)
            })
        };
        // Those of a kind lie side by side.
        let all: Vec<_> = self.0.into_iter().map(|(to, order)| (order, to)).collect();
        let is_like = |(_, one): &Change, (_, other): &Change| {
            std::mem::discriminant(one) == std::mem::discriminant(other)
        };
        let kinds = all.chunk_by(is_like).map(|kind| {
            let wider = wider(kind, request, replicas);
            let mut kind = wider.unwrap_or_else(|| kind.to_vec());
            kind.sort_unstable();
            kind
        });
        let mut kinds: Vec<_> = kinds.collect();
        kinds.sort_unstable();
        let smallest = kinds.into_iter().fold(None, |best: Option<Change>, kind| {
            // None of a kind is smaller than its first.
            let first = kind.first();
            let may_be_smaller = best.is_none_or(|best| first.is_some_and(|first| *first < best));
            let found = may_be_smaller.then(|| first_that(&kind, helps));
            best.into_iter().chain(found.flatten()).min()
        });
        smallest.map(|(_, to)| to)
    }
}

/// Where owners or sites are let have one more, all the numbers that they may be let have of so many
/// more replicas: from one more than the least of them has, to all that the one with most may get.
fn wider(kind: &[Change], request: &Request, replicas: u32) -> Option<Vec<Change>> {
    let (&(order, least), &(_, most)) = (kind.first()?, kind.last()?);
    let (least, to) = least.spread()?;
    let (most, _) = most.spread()?;
    let most = most.saturating_add(replicas.saturating_sub(1));
    let numbers = (least.get()..=most.get()).filter_map(NonZeroU32::new);
    let may = |most: &NonZeroU32| request.spread_max.is_none_or(|max| *most <= max);
    let (size, constraint, _, price) = order;
    let wider = numbers.take_while(may).map(|most| {
        let order = (size, constraint, u64::from(most.get()), price);
        (order, to(most))
    });
    Some(wider.collect())
}

type Change = (Order, Relaxation);

/// How an owner or a site is let have so many.
type Spreading = fn(NonZeroU32) -> Relaxation;

/// The first of a kind that helps. Where one is more than another it helps whenever that does; where no
/// more may be tried, it is one that does, though perhaps not the first.
fn first_that(kind: &[Change], helps: impl Fn(Relaxation) -> bool) -> Option<Change> {
    let (last, less) = kind.split_last()?;
    if !last.1.is_graded() {
        let mut tried = kind.iter().take(TRIED_ALIKE);
        return tried.find(|(_, to)| helps(*to)).copied();
    }
    if !helps(last.1) {
        return None;
    }
    let first = less.partition_point(|(_, to)| !helps(*to));
    kind.get(first).copied()
}

impl Relaxation {
    /// Whether of two of its kind one is more than the other.
    const fn is_graded(self) -> bool {
        !matches!(self, Self::Class(_) | Self::Country(_))
    }

    /// How many an owner or a site is let have, and how to let it have another number.
    fn spread(self) -> Option<(NonZeroU32, Spreading)> {
        match self {
            Self::PerOwner(most) => Some((most, Self::PerOwner)),
            Self::PerSite(most) => Some((most, Self::PerSite)),
            Self::PerOwnerAndSite(most) => Some((most, Self::PerOwnerAndSite)),
            _ => None,
        }
    }

    /// The request with this change made; how many replicas there are is not in it.
    #[must_use]
    pub fn applied_to(self, request: &Request) -> Request {
        let mut relaxed = request.clone();
        match self {
            Self::Class(class) => relaxed.classes.push(class),
            Self::Country(country) => relaxed.countries.push(country),
            Self::MaxPrice(price) => relaxed.max_price = Some(price),
            Self::PerOwner(most) => relaxed.spread.per_owner = Some(most),
            Self::PerSite(most) => relaxed.spread.per_site = Some(most),
            Self::PerOwnerAndSite(most) => {
                (relaxed.spread.per_owner, relaxed.spread.per_site) = (Some(most), Some(most));
            }
            Self::Replicas(_) => {}
            Self::ShareNoFabric => {
                (relaxed.together, relaxed.fabric) = (Together::Anywhere, None);
            }
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
            | Self::PerOwnerAndSite(_)
            | Self::ShareNoFabric
            | Self::Replicas(_) => shape,
        };
        Ask::new(smaller).unwrap_or(ask)
    }
}

/// A change that admits a node.
struct Admitting {
    size: Size,
    /// By how much what is asked changes, in its own unit.
    by: u64,
    to: Relaxation,
}

impl Admitting {
    /// A change of a number.
    fn by(by: u64, asked: u64, to: Relaxation) -> Self {
        let size = size(by, asked);
        Self { size, by, to }
    }

    const fn of_other_kind(size: Size, to: Relaxation) -> Self {
        Self { size, by: 0, to }
    }
}

/// The change that admits a node which only `constraint` keeps out. `None` where no request could have
/// the node, it is not open or has none of what is asked; and where it is to be avoided, for which who
/// asks has a reason.
fn admitting(
    view: &View<'_>,
    Has { free, offering }: Has<'_>,
    constraint: Constraint,
) -> Option<Admitting> {
    let (request, common) = (view.request, view.common);
    let shape = request.shape();
    match constraint {
        Constraint::NotOpen | Constraint::Avoided => None,
        Constraint::Class => {
            let to = Relaxation::Class(common.class);
            Some(Admitting::of_other_kind(OTHER_KIND, to))
        }
        Constraint::Country => {
            let to = Relaxation::Country(common.country);
            Some(Admitting::of_other_kind(OTHER_KIND, to))
        }
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
            let quote = offering.quote(shape);
            request.max_price.map(|max| {
                let (quoted, max) = (quote.micros_per_hour(), max.micros_per_hour());
                Admitting::by(quoted.saturating_sub(max), max, Relaxation::MaxPrice(quote))
            })
        }
        Constraint::OwnerSpread | Constraint::SiteSpread => one_more(view),
        Constraint::Fabric => {
            let to = Relaxation::ShareNoFabric;
            Some(Admitting::of_other_kind(LESS_SAFE, to))
        }
    }
}

/// Asking for less, but for something.
fn less(asked: u64, has: u64, to: fn(u64) -> Relaxation) -> Option<Admitting> {
    (has > 0).then(|| Admitting::by(asked.saturating_sub(has), asked, to(has)))
}

/// Letting an owner or a site that has so many replicas have one more.
fn one_more(view: &View<'_>) -> Option<Admitting> {
    let (of_owner, at_site) = view.siblings();
    let (has, to): (u32, Spreading) = match view.full() {
        (true, false) => (of_owner, Relaxation::PerOwner),
        (true, true) => (of_owner.max(at_site), Relaxation::PerOwnerAndSite),
        (false, _) => (at_site, Relaxation::PerSite),
    };
    let most = NonZeroU32::new(has)?.checked_add(1)?;
    Some(Admitting::of_other_kind(LESS_SAFE, to(most)))
}

fn farther(view: &View<'_>) -> Option<Admitting> {
    let max = view.request.near?.max_distance_km;
    let needed = rounded_up_km(view.distance_km()?);
    let by = u64::from(needed.saturating_sub(max));
    let to = Relaxation::DistanceKm(needed);
    Some(Admitting::by(by, u64::from(max), to))
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
            Self::CpuMilli(1_000) => f.write_str("1 core"),
            Self::CpuMilli(milli) => write!(f, "{} cores", Milli(*milli)),
            Self::MemoryMib(mib) => write!(f, "{} of memory", Mib(*mib)),
            Self::DiskMib(mib) => write!(f, "{} of disk", Mib(*mib)),
            Self::MaxPrice(price) => write!(f, "a maximum price of {}", Usd(*price)),
            Self::PerOwner(most) => write!(f, "letting an owner have {most} replicas"),
            Self::PerSite(most) => write!(f, "letting a site have {most} replicas"),
            Self::PerOwnerAndSite(most) => {
                write!(f, "letting an owner and a site have {most} replicas each")
            }
            Self::Replicas(NonZeroU32::MIN) => f.write_str("1 replica"),
            Self::Replicas(most) => write!(f, "{most} replicas"),
            Self::ShareNoFabric => f.write_str("letting replicas stand on several fabrics"),
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
