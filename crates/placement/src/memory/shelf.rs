//! The states of one pool that have room for one ask, the best first.
//!
//! A lazy heap: a state that no node is in any more is dropped when it comes up; one that came to
//! be is read from the pool's log. So the work is by states, not by nodes.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use remuda_types::NodeKey;

use crate::ask::Ask;
use crate::free::{Free, Slack};
use crate::log::Position;
use crate::pool::{Entry, Pool, Slot};
use crate::worth::Loss;

/// The states of a pool that have room.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shelf {
    heap: BinaryHeap<Reverse<Ranked>>,
    read: Position,
    /// The pool's plan and incarnation.
    of: Option<(u32, u32)>,
    /// States in their turn that are not to be taken this time.
    aside: Vec<Reverse<Ranked>>,
}

/// A state in its turn. Which of those alike in loss and slack comes first is settled when they
/// come up.
type Ranked = (Loss, Slack, Entry);

/// The best node of a pool, and what it is preferred by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Offered {
    pub(crate) loss: Loss,
    pub(crate) slack: Slack,
    pub(crate) free: Free,
    pub(crate) node: NodeKey,
}

/// What a pool has for an ask.
pub(crate) enum Best {
    /// No open node has room.
    None,
    /// All that have room are to be avoided.
    Avoided,
    /// This one.
    Node(Offered),
}

impl Shelf {
    /// The best open node of the pool that is not to be avoided.
    pub(crate) fn best(&mut self, pool: &Pool, ask: &Ask, avoid: &BTreeSet<NodeKey>) -> Best {
        self.follow(pool, ask);
        let best = self.first(pool, avoid);
        self.heap.extend(self.aside.drain(..));
        match best {
            Some(offered) => Best::Node(offered),
            None if self.heap.is_empty() => Best::None,
            None => Best::Avoided,
        }
    }

    fn first(&mut self, pool: &Pool, avoid: &BTreeSet<NodeKey>) -> Option<Offered> {
        let mut best: Option<Offered> = None;
        while let Some(Reverse((loss, slack, entry))) = self.heap.peek().copied() {
            let passed = |best: &Offered| (best.loss, best.slack) < (loss, slack);
            if best.as_ref().is_some_and(passed) {
                break;
            }
            self.heap.pop();
            let Some(slot) = pool.slot(entry) else {
                continue;
            };
            self.aside.push(Reverse((loss, slack, entry)));
            let Some(node) = first_key(slot, avoid) else {
                continue;
            };
            let offered = Offered {
                loss,
                slack,
                free: slot.free.clone(),
                node,
            };
            best = Some(match best {
                Some(best) => best.min(offered),
                None => offered,
            });
        }
        best
    }

    fn follow(&mut self, pool: &Pool, ask: &Ask) {
        let of = Some((pool.plan, pool.incarnation));
        // Entries that are no longer true lie deep in the heap; now and then it is made without them.
        let fits = self.heap.len() <= 2 * pool.states() + 64;
        let news = pool.log.since(self.read).filter(|_| self.of == of && fits);
        if let Some(entries) = news {
            let alive = entries.filter_map(|entry| Some((entry, pool.slot(entry)?)));
            let ranked = alive.filter_map(|(entry, slot)| rank(pool, entry, slot, ask));
            self.heap.extend(ranked);
        } else {
            let slots = pool.slots();
            let ranked = slots.filter_map(|(entry, slot)| rank(pool, entry, slot, ask));
            self.heap = ranked.collect();
            self.of = of;
        }
        self.read = pool.log.end();
    }
}

fn rank(pool: &Pool, entry: Entry, slot: &Slot, ask: &Ask) -> Option<Reverse<Ranked>> {
    let fits = slot.free.has_room(ask);
    fits.then(|| Reverse((pool.loss(slot, ask), slot.free.slack(), entry)))
}

fn first_key(slot: &Slot, avoid: &BTreeSet<NodeKey>) -> Option<NodeKey> {
    let mut nodes = slot.nodes.iter();
    nodes.find(|node| !avoid.contains(node))
}
