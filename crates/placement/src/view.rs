//! Nodes that are alike, seen from one request: which constraints eliminate them.

use std::collections::BTreeSet;

use remuda_types::{NodeKey, SiteId};

use crate::brief::Brief;
use crate::constraint::Constraint;
use crate::fleet::Fleet;
use crate::free::Free;
use crate::pool::{Common, Offering, Pool, Slot};
use crate::quotas::Cell;
use crate::request::{Request, Siblings};

/// Where the earlier members of a group are: what the others are not to be beside, or are to be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Taken {
    /// How many there are with each owner and at each site, where that matters.
    pub(crate) members: Siblings,
    /// Sites that fail together with one of these.
    pub(crate) kin: BTreeSet<SiteId>,
    /// The fabric that the group is on, if it is on one.
    pub(crate) fabric: Option<Cell>,
}

impl Taken {
    /// Whether the group is on another fabric.
    fn is_off_fabric(&self, common: &Common) -> bool {
        self.fabric.is_some_and(|fabric| fabric != common.cell())
    }
}

/// Nodes of one pool to which the same happens: those free alike, all to be avoided or none; or all
/// that are open, where what they have in common eliminates them; or all that are closed.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) request: &'a Request,
    pub(crate) common: &'a Common,
    taken: &'a Taken,
    /// What eliminates them for what they have in common.
    shared: Shared,
    /// What each has; or the best of them, if one would do but for what eliminates all.
    has: Option<Has<'a>>,
    open: bool,
    avoided: bool,
    /// How many they are.
    pub(crate) nodes: usize,
}

/// What a node has.
#[derive(Clone, Copy)]
pub(crate) struct Has<'a> {
    pub(crate) free: &'a Free,
    pub(crate) offering: &'a Offering,
}

/// Which constraints eliminate nodes for what they have in common, one bit for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shared(u16);

/// Nodes of a fleet that are looked at in another, which knows better what is free on them. They
/// offer the same in both, and so are in pools that have the same in common.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Elsewhere<'a> {
    fleet: Option<&'a Fleet>,
}

impl<'a> Elsewhere<'a> {
    pub(crate) const fn of(other: &'a Fleet) -> Self {
        Self { fleet: Some(other) }
    }

    fn has(self, node: NodeKey) -> bool {
        self.fleet
            .is_some_and(|fleet| fleet.pool_of(node).is_some())
    }

    /// How many open and closed nodes of a pool they are.
    fn count(self, pool: &Pool) -> (u64, u64) {
        let found = self
            .fleet
            .and_then(|fleet| fleet.stock.pool_like(&pool.common));
        found.map_or((0, 0), |pool| (pool.nodes - pool.closed, pool.closed))
    }
}

/// All nodes of the fleet but those that are looked at elsewhere, those alike together.
pub(crate) fn views<'a>(
    fleet: &'a Fleet,
    elsewhere: Elsewhere<'a>,
    request: &'a Request,
    taken: &'a Taken,
) -> impl Iterator<Item = View<'a>> {
    let pools = fleet.stock.pools.iter().filter(|pool| pool.nodes > 0);
    pools.flat_map(move |pool| views_of(pool, elsewhere, request, taken))
}

fn views_of<'a>(
    pool: &'a Pool,
    elsewhere: Elsewhere<'_>,
    request: &'a Request,
    taken: &'a Taken,
) -> Vec<View<'a>> {
    let (opened, closed) = elsewhere.count(pool);
    let elsewhere = if opened == 0 {
        Elsewhere::default()
    } else {
        elsewhere
    };
    let view = View {
        request,
        common: &pool.common,
        taken,
        shared: Shared::of_place(request, taken, &pool.common),
        has: None,
        open: true,
        avoided: false,
        nodes: count(pool.nodes - pool.closed - opened),
    };
    let mut views = if view.nodes == 0 {
        Vec::new()
    } else if view.shared.comes_before(Constraint::Gpu) {
        let has = view
            .shared
            .is_one()
            .then(|| best_that_would_do(pool, elsewhere, request));
        let has = has.flatten();
        vec![View { has, ..view }]
    } else {
        let states = pool
            .slots()
            .flat_map(|slot| views_of_state(pool, (slot, elsewhere), view));
        states.collect()
    };
    views.push(View {
        open: false,
        nodes: count(pool.closed - closed),
        ..view
    });
    views.retain(|view| view.nodes > 0);
    views
}

/// The cheapest of the nodes that have room and are not to be avoided.
fn best_that_would_do<'a>(
    pool: &'a Pool,
    elsewhere: Elsewhere<'_>,
    request: &Request,
) -> Option<Has<'a>> {
    let has = |slot: &'a Slot| Has {
        free: &slot.free,
        offering: &pool.kind(slot.kind).offering,
    };
    let avoid = &request.avoid.nodes;
    let would_do = pool.roomy(Brief::asked(&request.ask)).filter(|slot| {
        let mut nodes = slot.nodes.iter();
        slot.free.has_room(&request.ask)
            && nodes.any(|node| !avoid.contains(&node) && !elsewhere.has(node))
    });
    let suiting = would_do.map(has).filter(|has| suits(request, has.offering));
    suiting.min_by_key(|has| has.offering.quote(request.shape()))
}

/// Nodes that are free alike: those that are not to be avoided, and those that are.
fn views_of_state<'a>(
    pool: &'a Pool,
    (slot, elsewhere): (&'a Slot, Elsewhere<'_>),
    view: View<'a>,
) -> [View<'a>; 2] {
    let offering = &pool.kind(slot.kind).offering;
    let free = &slot.free;
    let view = View {
        shared: view.shared.and(Shared::of_offering(view.request, offering)),
        has: Some(Has { free, offering }),
        ..view
    };
    let avoid = &view.request.avoid.nodes;
    let (mut all, mut avoided) = (slot.nodes.len(), slot.among(avoid));
    if elsewhere.fleet.is_some() {
        let gone = slot.nodes.iter().filter(|node| elsewhere.has(*node));
        for node in gone {
            all -= 1;
            avoided -= usize::from(avoid.contains(&node));
        }
    }
    [(false, all - avoided), (true, avoided)].map(|(avoided, nodes)| View {
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
        let (avoid, members) = (&request.avoid, &taken.members);
        let (owner, site) = (common.provider, common.site);
        Self::none()
            .with(Constraint::Class, excluded(&request.classes, &common.class))
            .with(
                Constraint::Country,
                excluded(&request.countries, &common.country),
            )
            .with(Constraint::Distance, too_far(request, common))
            .with(
                Constraint::OwnerSpread,
                request.owner_is_full(owner, members),
            )
            .with(Constraint::SiteSpread, request.site_is_full(site, members))
            .with(
                Constraint::Fabric,
                taken.is_off_fabric(common) || is_off_fabric(request, common),
            )
            .with(
                Constraint::Avoided,
                avoid.owners.contains(&owner) || avoid.sites.contains(&site),
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

    const fn is_one(self) -> bool {
        self.0.is_power_of_two()
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

/// Whether the request's siblings are on another fabric, and it must stand with them.
fn is_off_fabric(request: &Request, common: &Common) -> bool {
    request.fabric.is_some_and(|fabric| fabric != common.cell())
}

/// Whether the request, or the members of its group so far, keep away from this owner, site or
/// fabric.
pub(crate) fn keeps_away(request: &Request, taken: &Taken, common: &Common) -> bool {
    let (owner, site) = (common.provider, common.site);
    request.avoid.owners.contains(&owner)
        || request.avoid.sites.contains(&site)
        || request.owner_is_full(owner, &taken.members)
        || request.site_is_full(site, &taken.members)
        || is_off_fabric(request, common)
}

/// Whether the request, or the members of its group so far, go to this site only if no other will
/// do.
pub(crate) fn shuns(request: &Request, taken: &Taken, site: SiteId) -> bool {
    request.shun.contains(&site) || taken.kin.contains(&site)
}

impl View<'_> {
    /// The constraint that the nodes are counted under.
    pub(crate) fn first_failure(&self) -> Option<Constraint> {
        self.failures().next()
    }

    /// The constraint that alone keeps the nodes out.
    pub(crate) fn only_failure(&self) -> Option<Constraint> {
        // A site has one owner: where both have too many, both may be let have more at once.
        let by_owner = self.fails(Constraint::OwnerSpread);
        let failures = self.failures();
        let mut failures = failures.filter(|one| !(by_owner && *one == Constraint::SiteSpread));
        let first = failures.next()?;
        // Where none of them would do no single change admits one.
        let alone = failures.next().is_none() && self.has.is_some();
        alone.then_some(first)
    }

    /// What each of them has, or the best of them, if that is known.
    pub(crate) const fn has(&self) -> Option<Has<'_>> {
        self.has
    }

    fn failures(&self) -> impl Iterator<Item = Constraint> {
        Constraint::ALL
            .into_iter()
            .filter(|&constraint| self.fails(constraint))
    }

    fn fails(&self, constraint: Constraint) -> bool {
        let (request, shape) = (self.request, self.request.shape());
        let short = |short: &dyn Fn(&Free) -> bool| self.has.is_some_and(|has| short(has.free));
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

    /// Whether their owner has as many replicas as it may, and whether their site has.
    pub(crate) const fn full(&self) -> (bool, bool) {
        let shared = self.shared;
        (
            shared.has(Constraint::OwnerSpread),
            shared.has(Constraint::SiteSpread),
        )
    }

    /// How many replicas their owner has, and how many their site.
    pub(crate) fn siblings(&self) -> (u32, u32) {
        let (earlier, members) = (&self.request.siblings, &self.taken.members);
        let (owner, site) = (self.common.provider, self.common.site);
        let of_owner = earlier
            .of_owner(owner)
            .saturating_add(members.of_owner(owner));
        let at_site = earlier.at_site(site).saturating_add(members.at_site(site));
        (of_owner, at_site)
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
