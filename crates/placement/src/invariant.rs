//! What is always true of a fleet, written once: property tests and the simulator both ask.

use std::collections::BTreeMap;

use remuda_types::{NodeKey, SiteId};

use crate::fleet::{Fleet, Hold, Node, NodeOffer, Owner};
use crate::free::Free;

/// What is wrong with a fleet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// What is free and what is held do not add up to the node's capacity.
    #[error("{node}: free and held do not add up to its capacity")]
    Unbalanced {
        /// The node.
        node: NodeKey,
    },
    /// A hold is on more or fewer GPUs than its shape asks.
    #[error("{node}: a hold is on other GPUs than its shape asks")]
    GpuCount {
        /// The node.
        node: NodeKey,
    },
    /// An open node is not among those that are free alike, or a closed one is.
    #[error("{node}: not counted under what is free on it")]
    Misfiled {
        /// The node.
        node: NodeKey,
    },
    /// What searches go by is not what the pools offer.
    #[error("what is noted of what the pools cost is not what they cost")]
    Mispriced,
    /// What was just found possible was not.
    #[error("{times} times a placement that was just found could not be held or released")]
    OutOfStep {
        /// How often.
        times: u64,
    },
    /// The sites' owners or node counts are not those of the nodes.
    #[error("{site}: its owner or its number of nodes is not that of the nodes there")]
    Site {
        /// The site.
        site: SiteId,
    },
}

/// Holds the fleet against its invariants.
pub fn check(fleet: &Fleet) -> Result<(), Violation> {
    let offers = fleet.offers().zip(fleet.nodes());
    for (offer, (_, node)) in offers {
        check_node(&offer, node)?;
    }
    check_slots(fleet)?;
    if !fleet.stock.is_in_order() {
        return Err(Violation::Mispriced);
    }
    match fleet.missteps() {
        0 => check_sites(fleet),
        times => Err(Violation::OutOfStep { times }),
    }
}

fn check_node(offer: &NodeOffer, node: &Node) -> Result<(), Violation> {
    let key = offer.node;
    let counted = |hold: &Hold| u64::from(hold.gpus.len()) == hold.ask.gpus().count();
    if !node.holds.iter().all(counted) {
        return Err(Violation::GpuCount { node: key });
    }
    let all = Free::all(&offer.capacity);
    let take = |free: Free, hold: &Hold| free.minus(&hold.ask, hold.gpus);
    let left = all.and_then(|all| node.holds.iter().try_fold(all, take));
    let aside = node.aside.as_deref();
    match left.and_then(|free| aside.map_or(Some(free.clone()), |aside| free.without(aside))) {
        Some(left) if left == node.free => Ok(()),
        Some(_) | None => Err(Violation::Unbalanced { node: key }),
    }
}

/// Every open node is in the slot of its kind and of what is free on it, and in no other.
fn check_slots(fleet: &Fleet) -> Result<(), Violation> {
    let mut filed = BTreeMap::new();
    for (pool, found) in (0..).zip(&fleet.stock.pools) {
        for slot in found.slots() {
            let state = (pool, slot.kind, slot.free.clone());
            filed.extend(slot.nodes.iter().map(|node| (node, state.clone())));
        }
    }
    for (key, node) in fleet.nodes() {
        let state = (node.pool, node.kind, node.free.sorted());
        if filed.remove(&key) != node.open.then_some(state) {
            return Err(Violation::Misfiled { node: key });
        }
    }
    match filed.first_key_value() {
        Some((&node, _)) => Err(Violation::Misfiled { node }),
        None => Ok(()),
    }
}

fn check_sites(fleet: &Fleet) -> Result<(), Violation> {
    let mut sites: BTreeMap<SiteId, Owner> = BTreeMap::new();
    for offer in fleet.offers() {
        let new = Owner {
            provider: offer.provider,
            nodes: 0,
        };
        let owner = sites.entry(offer.site).or_insert(new);
        owner.nodes += 1;
        if owner.provider != offer.provider {
            return Err(Violation::Site { site: offer.site });
        }
    }
    let found = fleet.stock.sites();
    let wrong = sites.keys().chain(found.keys());
    let wrong = wrong
        .into_iter()
        .find(|site| sites.get(site) != found.get(site));
    wrong.map_or(Ok(()), |&site| Err(Violation::Site { site }))
}
