//! Nodes that are alike, seen from one request: which constraints eliminate them.

use std::collections::{BTreeMap, BTreeSet};

use remuda_types::{Class, Price, ProviderId, SiteId};

use crate::brief::Brief;
use crate::constraint::Constraint;
use crate::fleet::Fleet;
use crate::free::Free;
use crate::pool::{Common, Kind, KindId, Offering, Pool, Slot};
use crate::request::Request;

/// Where the earlier members of a group are: what the others are not to be beside, or are to be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Taken {
    pub(crate) owners: BTreeSet<ProviderId>,
    pub(crate) sites: BTreeSet<SiteId>,
    /// The fabric that the group is on, if it is on one.
    pub(crate) fabric: Option<(SiteId, Class)>,
}

impl Taken {
    /// Whether the group is on another fabric.
    fn is_off_fabric(&self, common: &Common) -> bool {
        let there = (common.site, common.class);
        self.fabric.is_some_and(|fabric| fabric != there)
    }
}

/// Nodes of one kind to which the same happens: those free alike, all open or all closed, all to be
/// avoided or none; or all that are open, where what they have in common eliminates them.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) request: &'a Request,
    pub(crate) common: &'a Common,
    pub(crate) offering: &'a Offering,
    /// What eliminates all nodes of the kind.
    shared: Shared,
    /// What is free on each, or on the best of them where they are eliminated whatever is free.
    free: Option<&'a Free>,
    open: bool,
    avoided: bool,
    /// How many they are.
    pub(crate) nodes: usize,
}

/// Which constraints eliminate nodes for what they have in common, one bit for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shared(u16);

/// All nodes of the fleet, those alike together.
pub(crate) fn views<'a>(
    fleet: &'a Fleet,
    request: &'a Request,
    taken: &'a Taken,
) -> impl Iterator<Item = View<'a>> {
    let pools = fleet.stock.pools.iter().filter(|pool| pool.nodes > 0);
    pools.flat_map(move |pool| views_of(pool, request, taken))
}

fn views_of<'a>(pool: &'a Pool, request: &'a Request, taken: &Taken) -> Vec<View<'a>> {
    let open = open_kinds(pool, request, taken);
    let together = |view: &&View<'_>| view.shared.comes_before(Constraint::Gpu);
    let mut views: Vec<_> = open.values().filter(together).copied().collect();
    for slot in pool.slots() {
        let view = open.get(&slot.kind).filter(|view| !together(view));
        views.extend(view.into_iter().flat_map(|view| open_views(slot, *view)));
    }
    let closed = pool.kinds().filter_map(|(id, kind)| {
        let view = *open.get(&id)?;
        Some(View {
            free: None,
            open: false,
            nodes: count(kind.closed),
            ..view
        })
    });
    views.extend(closed);
    views.retain(|view| view.nodes > 0);
    views
}

/// The open nodes of each kind, by what they have in common.
fn open_kinds<'a>(
    pool: &'a Pool,
    request: &'a Request,
    taken: &Taken,
) -> BTreeMap<KindId, View<'a>> {
    let there = Shared::of_place(request, taken, &pool.common);
    let roomy = roomy(pool, request);
    let view = |(id, kind): (KindId, &'a Kind)| {
        let view = View {
            request,
            common: &pool.common,
            offering: &kind.offering,
            shared: there.and(Shared::of_offering(request, &kind.offering)),
            free: roomy.get(&id).copied(),
            open: true,
            avoided: false,
            nodes: count(kind.nodes - kind.closed),
        };
        (id, view)
    };
    pool.kinds().map(view).collect()
}

/// What is free on a node of each kind that has room, where there is one that is not to be avoided.
fn roomy<'a>(pool: &'a Pool, request: &Request) -> BTreeMap<KindId, &'a Free> {
    let mut found = BTreeMap::new();
    for slot in pool.roomy(Brief::asked(&request.ask)) {
        let has = slot.free.has_room(&request.ask);
        if has && slot.first_beside(&request.avoid.nodes).is_some() {
            found.entry(slot.kind).or_insert(&slot.free);
        }
    }
    found
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
    /// What where they are, and whose, has against nodes.
    fn of_place(request: &Request, taken: &Taken, common: &Common) -> Self {
        let (spread, avoid) = (&request.spread, &request.avoid);
        let (owner, site) = (&common.provider, &common.site);
        Self::none()
            .with(Constraint::Class, excluded(&request.classes, &common.class))
            .with(
                Constraint::Country,
                excluded(&request.countries, &common.country),
            )
            .with(Constraint::Distance, too_far(request, common))
            .with(
                Constraint::OwnerSpread,
                spread.owners && taken.owners.contains(owner),
            )
            .with(
                Constraint::SiteSpread,
                spread.sites && taken.sites.contains(site),
            )
            .with(Constraint::Fabric, taken.is_off_fabric(common))
            .with(
                Constraint::Avoided,
                avoid.owners.contains(owner) || avoid.sites.contains(site),
            )
    }

    /// What nodes are, and what they cost, that is against them.
    fn of_offering(request: &Request, offering: &Offering) -> Self {
        Self::none()
            .with(
                Constraint::GpuMemory,
                request.shape().gpu_memory_mib > offering.capacity.gpu_memory_mib,
            )
            .with(Constraint::Price, over_price(request, offering))
    }

    const fn none() -> Self {
        Self(0)
    }

    const fn with(self, constraint: Constraint, eliminates: bool) -> Self {
        if eliminates {
            Self(self.0 | bit(constraint))
        } else {
            self
        }
    }

    const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
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

/// Whether the class and the place of a pool will do: what does not change while the pool is.
pub(crate) fn admits(request: &Request, common: &Common) -> bool {
    is_of_class(request, common) && stands_well(request, common)
}

/// Whether the class of a pool will do.
pub(crate) fn is_of_class(request: &Request, common: &Common) -> bool {
    !excluded(&request.classes, &common.class)
}

/// Whether the place where a pool stands will do.
pub(crate) fn stands_well(request: &Request, common: &Common) -> bool {
    !excluded(&request.countries, &common.country) && !too_far(request, common)
}

/// Whether what nodes offer, and what they cost, will do.
pub(crate) fn suits(request: &Request, offering: &Offering) -> bool {
    request.shape().gpu_memory_mib <= offering.capacity.gpu_memory_mib
        && !over_price(request, offering)
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
            | Constraint::SiteSpread
            | Constraint::Fabric => self.shared.has(constraint),
        }
    }

    pub(crate) fn quote(&self) -> Price {
        self.offering.quote(self.request.shape())
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

fn over_price(request: &Request, offering: &Offering) -> bool {
    let max = request.max_price;
    max.is_some_and(|max| offering.quote(request.shape()) > max)
}

/// An empty list excludes nothing.
fn excluded<T: PartialEq>(list: &[T], one: &T) -> bool {
    !list.is_empty() && !list.contains(one)
}
