//! Brute force: what placement should find, said again in the plainest way, from the public face.

use std::num::NonZeroU32;

use remuda_placement::{Fleet, NodeOffer, Request, Together, quote};
use remuda_types::NodeKey;

fn allowed<T: PartialEq>(list: &[T], one: &T) -> bool {
    list.is_empty() || list.contains(one)
}

/// Whether one replica may go to the node, by each rule and with a hold tried for real.
pub(crate) fn admits(fleet: &Fleet, request: &Request, offer: &NodeOffer) -> bool {
    let shape = request.shape();
    let near = request
        .near
        .is_none_or(|near| near.place.distance_km(offer.place) <= f64::from(near.max_distance_km));
    let avoid = &request.avoid;
    let avoided = avoid.nodes.contains(&offer.node)
        || avoid.owners.contains(&offer.provider)
        || avoid.sites.contains(&offer.site);
    fleet.is_open(offer.node) == Some(true)
        && allowed(&request.classes, &offer.class)
        && allowed(&request.countries, &offer.country)
        && near
        && !avoided
        && !clashes(request, &[], offer)
        && shape.gpu_memory_mib <= offer.capacity.gpu_memory_mib
        && request
            .max_price
            .is_none_or(|max| quote(offer, shape) <= max)
        && fleet.clone().hold(offer.node, shape).is_ok()
}

/// The lowest total price at which `replicas` can be placed, over every choice of nodes.
pub(crate) fn cheapest_group(fleet: &Fleet, request: &Request, replicas: u32) -> Option<u128> {
    extend(fleet, request, replicas, &mut Vec::new())
}

/// Whether two nodes are on one fabric.
pub(crate) fn is_one_fabric(one: &NodeOffer, other: &NodeOffer) -> bool {
    (one.site, one.class) == (other.site, other.class)
}

fn extend(
    fleet: &Fleet,
    request: &Request,
    more: u32,
    chosen: &mut Vec<NodeOffer>,
) -> Option<u128> {
    if more == 0 {
        return Some(0);
    }
    let mut best = None;
    for offer in fleet.offers().filter(|offer| admits(fleet, request, offer)) {
        if clashes(request, chosen, &offer) {
            continue;
        }
        let mut with_it = fleet.clone();
        with_it.hold(offer.node, request.shape()).unwrap();
        chosen.push(offer.clone());
        let rest = extend(&with_it, request, more - 1, chosen);
        chosen.pop();
        let price = u128::from(quote(&offer, request.shape()).micros_per_hour());
        best = best.into_iter().chain(rest.map(|rest| rest + price)).min();
    }
    best
}

/// Whether a node will not do beside the members chosen so far, and the siblings of earlier calls.
pub(crate) fn clashes(request: &Request, chosen: &[NodeOffer], offer: &NodeOffer) -> bool {
    let count = |with: &dyn Fn(&NodeOffer) -> bool| {
        u32::try_from(chosen.iter().filter(|other| with(other)).count()).unwrap()
    };
    let siblings = &request.siblings;
    let with_owner = siblings.owners.get(&offer.provider).copied().unwrap_or(0)
        + count(&|other| other.provider == offer.provider);
    let at_site = siblings.sites.get(&offer.site).copied().unwrap_or(0)
        + count(&|other| other.site == offer.site);
    let reaches = |most: Option<NonZeroU32>, has: u32| most.is_some_and(|most| has >= most.get());
    reaches(request.spread.per_owner, with_owner)
        || reaches(request.spread.per_site, at_site)
        || request.together == Together::Fabric && count(&|other| !is_one_fabric(other, offer)) > 0
}

/// The offer of a node that the fleet has.
pub(crate) fn offer(fleet: &Fleet, node: NodeKey) -> NodeOffer {
    fleet.offer(node).unwrap()
}
