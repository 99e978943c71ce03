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

/// Nodes of one pool that are free alike, all open or all closed, all to be avoided or none.
pub(crate) struct View<'a> {
    pub(crate) request: &'a Request,
    pub(crate) common: &'a Common,
    taken: &'a Taken,
    /// What is free on each; nothing is asked of it while they are closed.
    free: Option<&'a Free>,
    avoided: bool,
    /// How many they are.
    pub(crate) nodes: usize,
}

/// All nodes of the fleet, those alike together.
pub(crate) fn views<'a>(
    fleet: &'a Fleet,
    request: &'a Request,
    taken: &'a Taken,
) -> impl Iterator<Item = View<'a>> {
    let pools = fleet.stock.pools.iter();
    pools.flat_map(move |pool| {
        let slots = pool.slots();
        let open = slots.flat_map(move |(_, slot)| open_views(pool, slot, request, taken));
        let closed = View {
            request,
            common: &pool.common,
            taken,
            free: None,
            avoided: false,
            nodes: usize::try_from(pool.closed).unwrap_or(usize::MAX),
        };
        open.chain([closed]).filter(|view| view.nodes > 0)
    })
}

fn open_views<'a>(
    pool: &'a Pool,
    slot: &'a Slot,
    request: &'a Request,
    taken: &'a Taken,
) -> [View<'a>; 2] {
    let avoided = slot.among(&request.avoid.nodes);
    [(false, slot.nodes.len() - avoided), (true, avoided)].map(|(avoided, nodes)| View {
        request,
        common: &pool.common,
        taken,
        free: Some(&slot.free),
        avoided,
        nodes,
    })
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
        failures.next().is_none().then_some(first)
    }

    /// What is free on each of them, if they are open.
    pub(crate) const fn free(&self) -> Option<&Free> {
        self.free
    }

    fn failures(&self) -> impl Iterator<Item = Constraint> {
        Constraint::ALL
            .into_iter()
            .filter(|&constraint| self.fails(constraint))
    }

    fn fails(&self, constraint: Constraint) -> bool {
        let (request, common) = (self.request, self.common);
        let shape = request.shape();
        let short = |short: &dyn Fn(&Free) -> bool| self.free.is_some_and(short);
        match constraint {
            Constraint::NotOpen => self.free.is_none(),
            Constraint::Class => excluded(&request.classes, &common.class),
            Constraint::Country => excluded(&request.countries, &common.country),
            Constraint::Distance => too_far(request, common),
            Constraint::Gpu => short(&|free| !free.has_gpus(request.ask.gpus())),
            Constraint::GpuMemory => shape.gpu_memory_mib > common.capacity.gpu_memory_mib,
            Constraint::Cpu => short(&|free| shape.cpu_milli > free.cpu_milli()),
            Constraint::Memory => short(&|free| shape.memory_mib > free.memory_mib()),
            Constraint::Disk => short(&|free| shape.disk_mib > free.disk_mib()),
            Constraint::Price => over_price(request, common),
            Constraint::OwnerSpread => {
                request.spread.owners && self.taken.owners.contains(&common.provider)
            }
            Constraint::SiteSpread => {
                request.spread.sites && self.taken.sites.contains(&common.site)
            }
            Constraint::Avoided => {
                self.avoided
                    || request.avoid.owners.contains(&common.provider)
                    || request.avoid.sites.contains(&common.site)
            }
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
