//! When each node is to be looked at next: at most one deadline a node, in order.

use std::collections::BTreeMap;

use remuda_types::Time;

use crate::roster::Slot;

/// Deadlines in order, and by node. Thousands of nodes share the milliseconds of a second or two,
/// so the order is one of moments, each with the nodes that are due then.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timers {
    moments: BTreeMap<Time, Vec<Slot>>,
    armed: Vec<Option<Armed>>,
}

/// Where a node's deadline stands.
#[derive(Clone, Copy, Debug)]
struct Armed {
    at: Time,
    /// Within its moment.
    position: usize,
}

impl Timers {
    /// Sets the node's deadline, in place of any other.
    pub(crate) fn arm(&mut self, slot: Slot, at: Time) {
        self.disarm(slot);
        let due = self.moments.entry(at).or_default();
        let position = due.len();
        due.push(slot);
        if self.armed.len() <= slot.index() {
            self.armed.resize(slot.index() + 1, None);
        }
        self.armed[slot.index()] = Some(Armed { at, position });
    }

    pub(crate) fn disarm(&mut self, slot: Slot) {
        let Some(Armed { at, position }) = self.armed.get_mut(slot.index()).and_then(Option::take)
        else {
            return;
        };
        let Some(due) = self.moments.get_mut(&at) else {
            return;
        };
        due.swap_remove(position);
        if let Some(moved) = due.get(position) {
            self.armed[moved.index()] = Some(Armed { at, position });
        } else if due.is_empty() {
            self.moments.remove(&at);
        }
    }

    pub(crate) fn deadline(&self, slot: Slot) -> Option<Time> {
        let armed = self.armed.get(slot.index()).copied().flatten();
        armed.map(|armed| armed.at)
    }

    pub(crate) fn first(&self) -> Option<Time> {
        self.moments.first_key_value().map(|(at, _)| *at)
    }

    /// Takes the nodes whose deadline is the earliest, if that has passed. They are in no order.
    pub(crate) fn pop(&mut self, at: Time) -> Option<Vec<Slot>> {
        self.first().filter(|due| *due <= at)?;
        let (_, due) = self.moments.pop_first()?;
        for slot in &due {
            self.armed[slot.index()] = None;
        }
        Some(due)
    }

    /// Whether both views agree.
    pub(crate) fn agree(&self) -> bool {
        let armed = self.armed.iter().flatten().count();
        let due: usize = self.moments.values().map(Vec::len).sum();
        let stands = |(at, due): (&Time, &Vec<Slot>)| {
            !due.is_empty() && due.iter().all(|slot| self.deadline(*slot) == Some(*at))
        };
        armed == due && self.moments.iter().all(stands)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::Node;
    use crate::roster::Roster;
    use remuda_types::NodeKey;

    #[test]
    fn a_deadline_is_moved_and_taken_wherever_it_stands_in_its_moment() {
        let mut roster = Roster::default();
        let mut slot = |byte| roster.insert(Node::new(NodeKey([byte; 32]), Time::EPOCH));
        let [a, b, c] = [1, 2, 3].map(&mut slot);
        let [soon, late] = [5, 9].map(Time::from_millis);
        let mut timers = Timers::default();
        for slot in [a, b, c] {
            timers.arm(slot, soon);
        }
        timers.arm(a, late);
        assert!(timers.agree() && timers.deadline(a) == Some(late));
        assert_eq!(timers.pop(Time::from_millis(4)), None);
        timers.disarm(c);
        timers.disarm(c);
        assert_eq!(timers.pop(late), Some(vec![b]));
        assert_eq!((timers.first(), timers.deadline(b)), (Some(late), None));
        assert_eq!(timers.pop(late), Some(vec![a]));
        assert!(timers.first().is_none() && timers.agree());
    }
}
