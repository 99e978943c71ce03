//! Standbys that stand beside what they are to stand in for: a replica moved there since. What takes one
//! would take both.

use std::collections::{BTreeMap, BTreeSet};

use remuda_placement::Placement;
use remuda_types::{NodeKey, ProviderId, SiteId, WorkloadId};

use super::{Whose, away, cheapest, give_up, held, keep, near_replicas};
use crate::decide::draft::Draft;
use crate::state::Claimed;

/// Where the replicas of a workload are, or those that move are about to be.
#[derive(Default)]
struct Replicas {
    nodes: BTreeSet<NodeKey>,
    owners: BTreeSet<ProviderId>,
    sites: BTreeSet<SiteId>,
}

impl Replicas {
    fn of(draft: &Draft<'_>, workload: WorkloadId) -> Self {
        // A successor comes after the lease that it succeeds.
        let leases = draft.leases_of(workload);
        let leases =
            leases.map(|(_, lease)| (lease.replica, (lease.node, lease.provider, lease.site)));
        let granted = draft.granted_to(workload);
        let granted =
            granted.map(|grant| (grant.replica, (grant.node, grant.provider, grant.site)));
        let last: BTreeMap<_, _> = leases.chain(granted).collect();
        let mut replicas = Self::default();
        for (node, owner, site) in last.into_values() {
            replicas.nodes.insert(node);
            replicas.owners.insert(owner);
            replicas.sites.insert(site);
        }
        replicas
    }

    fn are_beside(&self, place: &Claimed) -> bool {
        self.owners.contains(&place.provider) || self.sites.contains(&place.site)
    }

    /// Whether a standby is of use there: to one that is elsewhere.
    fn are_elsewhere(&self, node: NodeKey) -> bool {
        self.nodes.iter().any(|other| *other != node)
    }
}

/// Moves the standbys of a workload that stand beside one of its replicas to where they are better. One
/// that is of no use and has nowhere to go gives its place up; says which did.
pub(super) fn move_away(draft: &mut Draft<'_>, of: Whose<'_>) {
    let replicas = Replicas::of(draft, of.workload);
    let beside = held(draft, of.workload).filter(|(_, place)| replicas.are_beside(place));
    for (id, place) in beside.collect::<Vec<_>>() {
        let on_its_node = replicas.nodes.contains(&place.node);
        if let Some(better) = better(draft, of, on_its_node) {
            draft.unclaim(id, &place);
            keep(draft, id, of, &better);
        } else if on_its_node && !replicas.are_elsewhere(place.node) {
            give_up(draft, id, (of.workload, &place));
        }
    }
}

/// A place apart from all replicas, or for a standby on the node of one at least on another.
fn better(draft: &mut Draft<'_>, of: Whose<'_>, on_its_node: bool) -> Option<Placement> {
    let (apart, near) = away(draft, of)?;
    let apart = cheapest(draft, &apart);
    apart.or_else(|| on_its_node.then(|| near_replicas(draft, near))?)
}
