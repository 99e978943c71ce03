//! One node seen from one request: which constraints eliminate it.

use std::collections::{BTreeMap, BTreeSet};

use remuda_types::{NodeKey, Price, ProviderId, SiteId};

use crate::constraint::Constraint;
use crate::fleet::{Node, NodeOffer};
use crate::free::Free;
use crate::quote::quote;
use crate::request::Request;

/// What the earlier members of a group take.
#[derive(Default)]
pub(crate) struct Taken {
    pub(crate) owners: BTreeSet<ProviderId>,
    pub(crate) sites: BTreeSet<SiteId>,
    /// What they leave free on the nodes they are on.
    pub(crate) left: BTreeMap<NodeKey, Free>,
}

/// A node, with the earlier members of the group held on it.
pub(crate) struct View<'a> {
    pub(crate) request: &'a Request,
    pub(crate) offer: &'a NodeOffer,
    pub(crate) free: &'a Free,
    open: bool,
    taken: &'a Taken,
}

impl<'a> View<'a> {
    pub(crate) fn new(request: &'a Request, taken: &'a Taken, node: &'a Node) -> Self {
        let free = taken.left.get(&node.offer.node).unwrap_or(&node.free);
        Self {
            request,
            offer: &node.offer,
            free,
            open: node.open,
            taken,
        }
    }

    pub(crate) fn fits(&self) -> bool {
        self.first_failure().is_none()
    }

    /// The constraint that the node is counted under.
    pub(crate) fn first_failure(&self) -> Option<Constraint> {
        self.failures().next()
    }

    /// The constraint that alone keeps the node out.
    pub(crate) fn only_failure(&self) -> Option<Constraint> {
        let mut failures = self.failures();
        let first = failures.next()?;
        failures.next().is_none().then_some(first)
    }

    fn failures(&self) -> impl Iterator<Item = Constraint> {
        Constraint::ALL
            .into_iter()
            .filter(|&constraint| self.fails(constraint))
    }

    fn fails(&self, constraint: Constraint) -> bool {
        let (request, offer, free) = (self.request, self.offer, self.free);
        let shape = request.shape();
        match constraint {
            Constraint::NotOpen => !self.open,
            Constraint::Class => excluded(&request.classes, &offer.class),
            Constraint::Country => excluded(&request.countries, &offer.country),
            Constraint::Distance => self.too_far(),
            Constraint::Gpu => free.choose(request.ask.gpus()).is_none(),
            Constraint::GpuMemory => shape.gpu_memory_mib > offer.capacity.gpu_memory_mib,
            Constraint::Cpu => shape.cpu_milli > free.cpu_milli(),
            Constraint::Memory => shape.memory_mib > free.memory_mib(),
            Constraint::Disk => shape.disk_mib > free.disk_mib(),
            Constraint::Price => request.max_price.is_some_and(|max| self.quote() > max),
            Constraint::OwnerSpread => {
                request.spread.owners && self.taken.owners.contains(&offer.provider)
            }
            Constraint::SiteSpread => {
                request.spread.sites && self.taken.sites.contains(&offer.site)
            }
            Constraint::Avoided => self.avoided(),
        }
    }

    fn avoided(&self) -> bool {
        let avoid = &self.request.avoid;
        avoid.nodes.contains(&self.offer.node)
            || avoid.owners.contains(&self.offer.provider)
            || avoid.sites.contains(&self.offer.site)
    }

    fn too_far(&self) -> bool {
        let within = |max| {
            self.distance_km()
                .is_none_or(|distance| distance <= f64::from(max))
        };
        self.request
            .near
            .is_some_and(|near| !within(near.max_distance_km))
    }

    pub(crate) fn quote(&self) -> Price {
        quote(self.offer, self.request.shape())
    }

    /// How far the node is from the place asked, if one was.
    pub(crate) fn distance_km(&self) -> Option<f64> {
        self.request
            .near
            .map(|near| near.place.distance_km(self.offer.place))
    }
}

/// An empty list excludes nothing.
fn excluded<T: PartialEq>(list: &[T], one: &T) -> bool {
    !list.is_empty() && !list.contains(one)
}
