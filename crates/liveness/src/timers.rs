//! When each node is to be looked at next: at most one deadline a node, in order.

use std::collections::{BTreeMap, BTreeSet};

use remuda_types::{NodeKey, Time};

/// Deadlines in order, and by node.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timers {
    queue: BTreeSet<(Time, NodeKey)>,
    armed: BTreeMap<NodeKey, Time>,
}

impl Timers {
    /// Sets the node's deadline, in place of any other.
    pub(crate) fn arm(&mut self, node: NodeKey, at: Time) {
        self.disarm(&node);
        self.armed.insert(node, at);
        self.queue.insert((at, node));
    }

    pub(crate) fn disarm(&mut self, node: &NodeKey) {
        if let Some(at) = self.armed.remove(node) {
            self.queue.remove(&(at, *node));
        }
    }

    pub(crate) fn deadline(&self, node: &NodeKey) -> Option<Time> {
        self.armed.get(node).copied()
    }

    pub(crate) fn first(&self) -> Option<Time> {
        self.queue.first().map(|(at, _)| *at)
    }

    /// Takes the node whose deadline is the earliest, if that has passed.
    pub(crate) fn pop(&mut self, at: Time) -> Option<NodeKey> {
        self.first().filter(|due| *due <= at)?;
        let (_, node) = self.queue.pop_first()?;
        self.armed.remove(&node);
        Some(node)
    }

    /// Whether both views agree.
    pub(crate) fn agree(&self) -> bool {
        self.queue.len() == self.armed.len()
            && self
                .armed
                .iter()
                .all(|(node, at)| self.queue.contains(&(*at, *node)))
    }
}
