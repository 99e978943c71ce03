//! How much of each site is there, and what of it was lost when.

use std::collections::{BTreeMap, BTreeSet};

use remuda_types::{NodeKey, SiteId, Time};

use crate::state::{Node, Presence};

/// Every site that has a node with a session, or one that was lost.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sites(BTreeMap<SiteId, Nodes>);

#[derive(Clone, Debug, Default, PartialEq)]
struct Nodes {
    /// So many have a session.
    there: usize,
    lost: BTreeSet<(Time, NodeKey)>,
}

impl Sites {
    /// How many nodes of the site have a session.
    pub(crate) fn there(&self, site: SiteId) -> usize {
        self.0.get(&site).map_or(0, |nodes| nodes.there)
    }

    /// How many of its nodes were lost at `since` or later, and did not come back.
    pub(crate) fn lost_since(&self, site: SiteId, since: Time) -> usize {
        let from = (since, NodeKey([0; 32]));
        let nodes = self.0.get(&site);
        nodes.map_or(0, |nodes| nodes.lost.range(from..).count())
    }

    /// Counts a node in as what it is.
    pub(super) fn count_in(&mut self, id: NodeKey, node: &Node) {
        if node.presence.has_session() {
            self.0.entry(node.site).or_default().there += 1;
        } else if let Presence::Lost(at) = node.presence {
            self.0.entry(node.site).or_default().lost.insert((at, id));
        }
    }

    /// Undoes [`Sites::count_in`].
    pub(super) fn count_out(&mut self, id: NodeKey, node: &Node) {
        let Some(nodes) = self.0.get_mut(&node.site) else {
            return;
        };
        if node.presence.has_session() {
            nodes.there -= 1;
        } else if let Presence::Lost(at) = node.presence {
            nodes.lost.remove(&(at, id));
        }
        if *nodes == Nodes::default() {
            self.0.remove(&node.site);
        }
    }
}
