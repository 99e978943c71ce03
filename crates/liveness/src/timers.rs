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
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use remuda_types::NodeKey;

    use super::*;
    use crate::node::Node;
    use crate::roster::Roster;

    fn slots<const N: usize>() -> [Slot; N] {
        let mut roster = Roster::default();
        std::array::from_fn(|index| {
            let byte = u8::try_from(index).unwrap();
            roster.insert(Node::new(NodeKey([byte; 32]), Time::EPOCH))
        })
    }

    #[test]
    fn a_deadline_is_moved_and_taken_wherever_it_stands_in_its_moment() {
        let [a, b, c] = slots();
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

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Arm(usize, u64),
        Disarm(usize),
        Pop(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (0_usize..9, 0_u64..6).prop_map(|(slot, at)| Step::Arm(slot, at)),
            2 => (0_usize..9).prop_map(Step::Disarm),
            1 => (0_u64..6).prop_map(Step::Pop),
        ];
        prop::collection::vec(step, 0..200)
    }

    proptest! {
        #[test]
        fn they_are_a_set_of_deadlines_with_at_most_one_a_node(script in steps()) {
            let slots: [Slot; 9] = slots();
            let (mut timers, mut model) = (Timers::default(), BTreeSet::new());
            for step in script {
                match step {
                    Step::Arm(slot, at) => {
                        model.retain(|(_, other)| *other != slot);
                        model.insert((Time::from_millis(at), slot));
                        timers.arm(slots[slot], Time::from_millis(at));
                    }
                    Step::Disarm(slot) => {
                        model.retain(|(_, other)| *other != slot);
                        timers.disarm(slots[slot]);
                    }
                    Step::Pop(at) => {
                        let first = model.first().map(|(due, _)| *due);
                        let first = first.filter(|due| *due <= Time::from_millis(at));
                        let due: Vec<_> = model.extract_if(.., |(due, _)| Some(*due) == first).collect();
                        let popped = timers.pop(Time::from_millis(at)).unwrap_or_default();
                        let mut popped: Vec<_> = popped.into_iter().map(Slot::index).collect();
                        popped.sort_unstable();
                        prop_assert_eq!(popped, due.iter().map(|(_, slot)| *slot).collect::<Vec<_>>());
                    }
                }
                prop_assert!(timers.agree());
                prop_assert_eq!(timers.first(), model.first().map(|(due, _)| *due));
                for (at, slot) in &model {
                    prop_assert_eq!(timers.deadline(slots[*slot]), Some(*at));
                }
            }
        }
    }
}
