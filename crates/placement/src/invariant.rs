//! What is always true of a fleet, written once: property tests and the simulator both ask.

use std::collections::BTreeMap;

use remuda_types::{NodeKey, SiteId};

use crate::fleet::{Fleet, Hold, Node, Owner};
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
    /// The sites' owners or node counts are not those of the nodes.
    #[error("{site}: its owner or its number of nodes is not that of the nodes there")]
    Site {
        /// The site.
        site: SiteId,
    },
}

/// Holds the fleet against its invariants.
pub fn check(fleet: &Fleet) -> Result<(), Violation> {
    fleet.nodes().try_for_each(check_node)?;
    check_sites(fleet)
}

fn check_node(node: &Node) -> Result<(), Violation> {
    let key = node.offer.node;
    let counted = |hold: &Hold| u64::from(hold.gpus.len()) == hold.ask.gpus().count();
    if !node.holds.iter().all(counted) {
        return Err(Violation::GpuCount { node: key });
    }
    let all = Free::all(&node.offer.capacity);
    let take = |free: Free, hold: &Hold| free.minus(&hold.ask, hold.gpus);
    match all.and_then(|all| node.holds.iter().try_fold(all, take)) {
        Some(left) if left == node.free => Ok(()),
        Some(_) | None => Err(Violation::Unbalanced { node: key }),
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
    let all = sites.keys().chain(fleet.sites().keys());
    let wrong = all
        .into_iter()
        .find(|site| sites.get(site) != fleet.sites().get(site));
    wrong.map_or(Ok(()), |&site| Err(Violation::Site { site }))
}
