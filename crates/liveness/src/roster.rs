//! The nodes, each at a slot of its own: who knows the slot needs no search.

use remuda_types::NodeKey;

use crate::node::Node;

/// Slots by key, hashed the same way in every run. Never iterated: the order of its entries means
/// nothing.
type Slots = hashbrown::HashMap<NodeKey, Slot, foldhash::fast::FixedState>;

/// Where a node stands. It is another's when the node has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot(usize);

/// All nodes that joined and have not left.
#[derive(Clone, Debug, Default)]
pub(crate) struct Roster {
    nodes: Vec<Option<Node>>,
    free: Vec<Slot>,
    slots: Slots,
}

impl Slot {
    /// Counted from zero, without gaps where nobody left.
    pub(crate) const fn index(self) -> usize {
        self.0
    }
}

impl Roster {
    /// Where a node stands.
    pub(crate) fn find(&self, key: &NodeKey) -> Option<Slot> {
        self.slots.get(key).copied()
    }

    pub(crate) fn get(&self, slot: Slot) -> Option<&Node> {
        self.nodes.get(slot.index())?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, slot: Slot) -> Option<&mut Node> {
        self.nodes.get_mut(slot.index())?.as_mut()
    }

    /// A node by its key.
    pub(crate) fn of(&self, key: &NodeKey) -> Option<&Node> {
        self.get(self.find(key)?)
    }

    /// Takes in a node that is not there yet.
    pub(crate) fn insert(&mut self, node: Node) -> Slot {
        let slot = self.free.pop().unwrap_or(Slot(self.nodes.len()));
        self.slots.insert(node.key(), slot);
        if slot.index() == self.nodes.len() {
            self.nodes.push(Some(node));
        } else {
            self.nodes[slot.index()] = Some(node);
        }
        slot
    }

    /// Lets a node go.
    pub(crate) fn remove(&mut self, key: &NodeKey) -> Option<Node> {
        let slot = self.slots.remove(key)?;
        self.free.push(slot);
        self.nodes[slot.index()].take()
    }

    /// All of them by slot.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Slot, &Node)> {
        let slots = self.nodes.iter().enumerate();
        slots.filter_map(|(index, node)| Some((Slot(index), node.as_ref()?)))
    }

    /// All of them by slot.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (Slot, &mut Node)> {
        let slots = self.nodes.iter_mut().enumerate();
        slots.filter_map(|(index, node)| Some((Slot(index), node.as_mut()?)))
    }

    /// Whether every node is found where it stands, and nobody else.
    pub(crate) fn agrees(&self) -> bool {
        let found = |(slot, node): (Slot, &Node)| self.find(&node.key()) == Some(slot);
        self.slots.len() + self.free.len() == self.nodes.len()
            && self.iter().count() == self.slots.len()
            && self.iter().all(found)
    }
}

#[cfg(test)]
mod tests {
    use remuda_types::Time;

    use super::*;

    #[test]
    fn a_slot_is_used_again_when_its_node_has_left() {
        let node = |byte| Node::new(NodeKey([byte; 32]), Time::EPOCH);
        let mut roster = Roster::default();
        let slots = [1, 2, 3].map(|byte| roster.insert(node(byte)));
        assert_eq!(slots.map(Slot::index), [0, 1, 2]);
        assert!(roster.remove(&NodeKey([2; 32])).is_some());
        assert!(roster.remove(&NodeKey([2; 32])).is_none());
        assert!(roster.agrees() && roster.get(slots[1]).is_none());
        assert_eq!(roster.insert(node(4)), slots[1]);
        let keys: Vec<_> = roster.iter().map(|(_, node)| node.key().0[0]).collect();
        assert_eq!(keys, [1, 4, 3]);
        assert_eq!(roster.find(&NodeKey([4; 32])), Some(slots[1]));
        assert!(roster.agrees());
    }
}
