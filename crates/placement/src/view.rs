//! Nodes that are alike, seen from one request: which constraints eliminate them.

use std::collections::BTreeSet;

use remuda_types::{Price, ProviderId, SiteId};

use crate::constraint::Constraint;
use crate::fleet::Fleet;
use crate::free::Free;
use crate::pool::{Common, Pool, Slot};
use crate::request::Request;

/// What the earlier members of a group are not to be beside.
#[derive(Clone, Debug, Default)]
pub(crate) struct Taken {
    pub(crate) owners: BTreeSet<ProviderId>,
    pub(crate) sites: BTreeSet<SiteId>,
}

/// Nodes of one pool to which the same happens: those free alike, all open or all closed, all to be
/// avoided or none; or all that are open, where what they have in common eliminates them.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) request: &'a Request,
    pub(crate) common: &'a Common,
    /// What eliminates all nodes of the pool.
    shared: Shared,
    /// What is free on each, or on the best of them where they are eliminated whatever is free.
    free: Option<&'a Free>,
    open: bool,
    avoided: bool,
    /// How many they are.
    pub(crate) nodes: usize,
}

/// Which constraints eliminate a pool for what its nodes have in common, one bit for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shared(u16);

/// All nodes of the fleet, those alike together.
pub(crate) fn views<'a>(
    fleet: &'a Fleet,
    request: &'a Request,
    taken: &Taken,
) -> impl Iterator<Item = View<'a>> {
    let pools = fleet.stock.pools.iter().filter(|pool| pool.nodes > 0);
    pools.flat_map(move |pool| {
        let shared = Shared::of(request, taken, &pool.common);
        let view = View {
            request,
            common: &pool.common,
            shared,
            free: None,
            open: true,
            avoided: false,
            nodes: 0,
        };
        let closed = View {
            open: false,
            nodes: count(pool.closed),
            ..view
        };
        let all = shared.comes_before(Constraint::Gpu).then(|| View {
            free: roomy(pool, request),
            nodes: count(pool.nodes - pool.closed),
            ..view
        });
        let each = all.is_none().then(|| {
            let slots = pool.slots();
            slots.flat_map(move |(_, slot)| open_views(slot, view))
        });
        let open = all.into_iter().chain(each.into_iter().flatten());
        open.chain([closed]).filter(|view| view.nodes > 0)
    })
}

/// What is free on a node of the pool that has room, if there is one that is not to be avoided.
fn roomy<'a>(pool: &'a Pool, request: &Request) -> Option<&'a Free> {
    if !pool.room.most().may_have(request.ask.gpus()) {
        return None;
    }
    let mut slots = pool.slots().map(|(_, slot)| slot);
    let has = |slot: &&Slot| {
        slot.free.has_room(&request.ask) && slot.among(&request.avoid.nodes) < slot.nodes.len()
    };
    slots.find(has).map(|slot| &slot.free)
}

fn open_views<'a>(slot: &'a Slot, view: View<'a>) -> [View<'a>; 2] {
    let avoided = slot.among(&view.request.avoid.nodes);
    [(false, slot.nodes.len() - avoided), (true, avoided)].map(|(avoided, nodes)| View {
        free: Some(&slot.free),
        avoided,
        nodes,
        ..view
    })
}

fn count(nodes: u64) -> usize {
    usize::try_from(nodes).unwrap_or(usize::MAX)
}

impl Shared {
    fn of(request: &Request, taken: &Taken, common: &Common) -> Self {
        let fails = |constraint: &Constraint| match constraint {
            Constraint::Class => excluded(&request.classes, &common.class),
            Constraint::Country => excluded(&request.countries, &common.country),
            Constraint::Distance => too_far(request, common),
            Constraint::GpuMemory => {
                request.shape().gpu_memory_mib > common.capacity.gpu_memory_mib
            }
            Constraint::Price => over_price(request, common),
            Constraint::OwnerSpread => {
                request.spread.owners && taken.owners.contains(&common.provider)
            }
            Constraint::SiteSpread => request.spread.sites && taken.sites.contains(&common.site),
            Constraint::Avoided => {
                request.avoid.owners.contains(&common.provider)
                    || request.avoid.sites.contains(&common.site)
            }
            Constraint::NotOpen
            | Constraint::Gpu
            | Constraint::Cpu
            | Constraint::Memory
            | Constraint::Disk => false,
        };
        let failing = Constraint::ALL.into_iter().filter(fails);
        Self(failing.fold(0, |bits, constraint| bits | bit(constraint)))
    }

    const fn has(self, constraint: Constraint) -> bool {
        self.0 & bit(constraint) != 0
    }

    /// Whether one of them is counted before this one would be.
    const fn comes_before(self, constraint: Constraint) -> bool {
        self.0 & (bit(constraint) - 1) != 0
    }
}

const fn bit(constraint: Constraint) -> u16 {
    1 << constraint as u16
}

/// Whether such a request ever goes to nodes of this pool: what does not change while the pool is.
pub(crate) fn admits(request: &Request, common: &Common) -> bool {
    suits(request, common) && stands_well(request, common)
}

/// Whether what the nodes of a pool are, and what they cost, will do.
pub(crate) fn suits(request: &Request, common: &Common) -> bool {
    !excluded(&request.classes, &common.class)
        && request.shape().gpu_memory_mib <= common.capacity.gpu_memory_mib
        && !over_price(request, common)
}

/// Whether the place where a pool stands will do.
pub(crate) fn stands_well(request: &Request, common: &Common) -> bool {
    !excluded(&request.countries, &common.country) && !too_far(request, common)
}

/// Whether the request, or the members of its group so far, keep away from this owner or site.
pub(crate) fn keeps_away(request: &Request, taken: &Taken, common: &Common) -> bool {
    let (owner, site) = (common.provider, common.site);
    request.avoid.owners.contains(&owner)
        || request.avoid.sites.contains(&site)
        || request.spread.owners && taken.owners.contains(&owner)
        || request.spread.sites && taken.sites.contains(&site)
}

impl View<'_> {
    /// The constraint that the nodes are counted under.
    pub(crate) fn first_failure(&self) -> Option<Constraint> {
        self.failures().next()
    }

    /// The constraint that alone keeps the nodes out.
    pub(crate) fn only_failure(&self) -> Option<Constraint> {
        let mut failures = self.failures();
        let first = failures.next()?;
        // Without room on any of them no single change admits one.
        let alone = failures.next().is_none() && self.free.is_some();
        alone.then_some(first)
    }

    /// What is free on each of them, if that is known.
    pub(crate) const fn free(&self) -> Option<&Free> {
        self.free
    }

    fn failures(&self) -> impl Iterator<Item = Constraint> {
        Constraint::ALL
            .into_iter()
            .filter(|&constraint| self.fails(constraint))
    }

    fn fails(&self, constraint: Constraint) -> bool {
        let (request, shape) = (self.request, self.request.shape());
        let short = |short: &dyn Fn(&Free) -> bool| self.free.is_some_and(short);
        match constraint {
            Constraint::NotOpen => !self.open,
            Constraint::Gpu => short(&|free| !free.has_gpus(request.ask.gpus())),
            Constraint::Cpu => short(&|free| shape.cpu_milli > free.cpu_milli()),
            Constraint::Memory => short(&|free| shape.memory_mib > free.memory_mib()),
            Constraint::Disk => short(&|free| shape.disk_mib > free.disk_mib()),
            Constraint::Avoided => self.avoided || self.shared.has(constraint),
            Constraint::Class
            | Constraint::Country
            | Constraint::Distance
            | Constraint::GpuMemory
            | Constraint::Price
            | Constraint::OwnerSpread
            | Constraint::SiteSpread => self.shared.has(constraint),
        }
    }

    pub(crate) fn quote(&self) -> Price {
        self.common.quote(self.request.shape())
    }

    /// How far the nodes are from the place asked, if one was.
    pub(crate) fn distance_km(&self) -> Option<f64> {
        distance_km(self.request, self.common)
    }
}

/// How far a pool is from the place asked, if one was.
pub(crate) fn distance_km(request: &Request, common: &Common) -> Option<f64> {
    request
        .near
        .map(|near| near.place.distance_km(common.place))
}

fn too_far(request: &Request, common: &Common) -> bool {
    request
        .near
        .is_some_and(|near| near.place.distance_km(common.place) > f64::from(near.max_distance_km))
}

fn over_price(request: &Request, common: &Common) -> bool {
    let max = request.max_price;
    max.is_some_and(|max| common.quote(request.shape()) > max)
}

/// An empty list excludes nothing.
fn excluded<T: PartialEq>(list: &[T], one: &T) -> bool {
    !list.is_empty() && !list.contains(one)
}
