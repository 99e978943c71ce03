//! Standing orders that are tried out of their turn, since room came free that they could use.
//!
//! Room of a class wakes those who wait for that class and those who take any. A line that is woken has
//! a round: all who stood in it then are tried, the longest waiting first, so many at a time; room that
//! comes free meanwhile is good for another round. Nobody walks a line when a lease ends.
//!
//! Which rounds go on is known to nobody but this index: one that is made anew wakes everyone, for what
//! came free before is not in the state. So two that are equal may differ in it, and what is decided
//! then differs by orders being tried a little earlier or later. What does not belong here: an order's
//! own turn (`due`), and the trying.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, RangeInclusive};

use remuda_types::{Class, NodeKey, Span, Time, WorkloadId};

use super::Index;
use crate::state::{StandingOrder, State};

/// Between one look at those who were woken and the next: each writes down whom it tried in vain.
const PAUSE: Span = Span::from_secs(1);

/// Of those who ask for a class, or of those who take any.
type Line = Option<Class>;

/// Since when, and who.
type Place = (Time, WorkloadId);

/// Who waits for what, and whom room that came free has woken.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiting {
    standing: BTreeSet<(Line, Place)>,
    /// Each has somebody whose turn is still to come.
    rounds: BTreeMap<Line, Round>,
    /// When the next of them are tried; set while there are any.
    at: Option<Time>,
    /// Since the last time that it was set, a round got on.
    tried: bool,
    /// Counts how often one did.
    count: u64,
}

/// Those of a line who are being tried.
#[derive(Clone, Debug)]
struct Round {
    /// Who was tried last.
    after: Option<Place>,
    /// Who is tried last.
    last: Place,
    /// Room came free since it began.
    again: bool,
    /// What was counted when it last got on.
    got_on: u64,
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.standing == other.standing
    }
}

fn lines_of(order: &StandingOrder) -> impl Iterator<Item = Line> + '_ {
    let classes = &order.terms.classes;
    let any = classes.is_empty().then_some(None);
    any.into_iter().chain(classes.iter().copied().map(Some))
}

fn all_of(line: Line) -> RangeInclusive<(Line, Place)> {
    let first = (Time::EPOCH, WorkloadId::from_u128(0));
    let last = (Time::FOREVER, WorkloadId::from_u128(u128::MAX));
    (line, first)..=(line, last)
}

impl Waiting {
    fn stand(&mut self, lines: impl IntoIterator<Item = Line>, place: Place) {
        let places = lines.into_iter().map(|line| (line, place));
        self.standing.extend(places);
    }

    fn go(&mut self, lines: impl IntoIterator<Item = Line>, place: Place) {
        for line in lines {
            self.standing.remove(&(line, place));
            self.end_round(line);
        }
    }

    /// Wakes a line, if somebody stands in it.
    fn wake(&mut self, line: Line) {
        let Some((_, last)) = self.standing.range(all_of(line)).next_back() else {
            return;
        };
        let last = *last;
        let round = self.rounds.entry(line).or_insert(Round {
            after: None,
            last,
            again: false,
            got_on: self.count,
        });
        if round.after.is_none() {
            round.last = last;
        } else {
            round.again = true;
        }
    }

    fn wake_all(&mut self) {
        let lines: BTreeSet<Line> = self.standing.iter().map(|(line, _)| *line).collect();
        for line in lines {
            self.wake(line);
        }
    }

    /// Those of a line whose turn in its round is still to come.
    fn turns(&self, line: Line, round: &Round) -> impl Iterator<Item = Place> + '_ {
        let first = Bound::Included(*all_of(line).start());
        let first = round
            .after
            .map_or(first, |after| Bound::Excluded((line, after)));
        let turns = self
            .standing
            .range((first, Bound::Included((line, round.last))));
        turns.map(|(_, place)| *place)
    }

    /// Those whose turn it is, so many at most: one of each line, then another of each, beginning with
    /// the line that has waited longest.
    fn next(&self, most: usize) -> Vec<WorkloadId> {
        let mut lines: Vec<_> = self.rounds.iter().collect();
        lines.sort_by_key(|(line, round)| (round.got_on, **line));
        let turns = lines.into_iter();
        let mut turns: Vec<_> = turns
            .map(|(line, round)| self.turns(*line, round))
            .collect();
        let (mut next, mut seen) = (Vec::new(), BTreeSet::new());
        while !turns.is_empty() {
            turns.retain_mut(|turns| {
                let turn = turns.next().filter(|_| next.len() < most);
                let id = turn.map(|(_, id)| id);
                next.extend(id.filter(|id| seen.insert(*id)));
                id.is_some()
            });
        }
        next
    }

    /// Somebody was tried, in vain.
    fn tried(&mut self, lines: impl IntoIterator<Item = Line>, place: Place) {
        for line in lines {
            let is_next = |round: &Round| self.turns(line, round).next() == Some(place);
            if self.rounds.get(&line).is_some_and(is_next)
                && let Some(round) = self.rounds.get_mut(&line)
            {
                self.tried = true;
                self.count += 1;
                (round.after, round.got_on) = (Some(place), self.count);
                self.end_round(line);
            }
        }
    }

    /// Ends a round in which nobody's turn is still to come.
    fn end_round(&mut self, line: Line) {
        let is_over = |round: &Round| self.turns(line, round).next().is_none();
        if self.rounds.get(&line).is_some_and(is_over)
            && let Some(over) = self.rounds.remove(&line)
            && over.again
        {
            self.wake(line);
        }
    }

    /// Sets when the next are tried: at once, or a while after the last.
    fn pace(&mut self, now: Time) {
        let tried = std::mem::take(&mut self.tried);
        self.at = match self.at {
            _ if self.rounds.is_empty() => None,
            Some(at) if !tried => Some(at),
            None if !tried => Some(now),
            _ => Some(now + PAUSE),
        };
    }
}

impl Index {
    /// When the next of those orders are tried that room has woken.
    pub(super) const fn woken_at(&self) -> Option<Time> {
        self.waiting.at
    }

    /// The standing orders that are tried at `now` since room came free that they could use, so many at
    /// most.
    pub fn woken_orders(&self, now: Time, most: usize) -> Vec<WorkloadId> {
        if self.waiting.at.is_none_or(|at| at > now) {
            return Vec::new();
        }
        self.waiting.next(most)
    }

    /// Room came free on a node, or may have; on one that takes nobody it is of no use.
    pub(super) fn wake_orders(&mut self, state: &State, node: NodeKey) {
        if self.waiting.standing.is_empty() {
            return;
        }
        let node = state.nodes.get(&node);
        if let Some(node) = node.filter(|node| node.presence.is_open()) {
            self.waiting.wake(Some(node.class));
            self.waiting.wake(None);
        }
    }

    /// Nobody knows what came free.
    pub(super) fn wake_all_orders(&mut self, now: Time) {
        self.waiting.wake_all();
        self.waiting.pace(now);
    }

    pub(super) fn order_stands(&mut self, id: WorkloadId, order: &StandingOrder) {
        self.waiting.stand(lines_of(order), (order.at, id));
    }

    pub(super) fn order_waits(&mut self, id: WorkloadId, order: &StandingOrder) {
        self.waiting.tried(lines_of(order), (order.at, id));
    }

    pub(super) fn order_goes(&mut self, id: WorkloadId, order: &StandingOrder) {
        self.waiting.go(lines_of(order), (order.at, id));
    }

    /// A batch is committed.
    pub(crate) fn pace_orders(&mut self, now: Time) {
        self.waiting.pace(now);
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const AT_ONCE: usize = 3;
    const LINES: usize = 4;

    fn line(n: usize) -> Line {
        let class = |n: usize| format!("class-{n}").parse().unwrap();
        (n > 0).then(|| class(n))
    }

    #[derive(Clone, Debug)]
    enum Step {
        /// Somebody comes, into these lines.
        Stand(BTreeSet<usize>),
        /// Somebody wants no more.
        Go(usize),
        Wake(usize),
        /// Those whose turn it is are tried; of so many one gets what it wants.
        Try(u128),
    }

    fn steps() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => proptest::collection::btree_set(0..LINES, 1..3).prop_map(Step::Stand),
            1 => (0_usize..100).prop_map(Step::Go),
            3 => (0..LINES).prop_map(Step::Wake),
            4 => (2_u128..9).prop_map(Step::Try),
        ]
    }

    /// Everyone who stands: since when, and where; and by when, counted in tries, whoever was woken
    /// must have been tried.
    #[derive(Default)]
    struct World {
        waiting: Waiting,
        standing: BTreeMap<WorkloadId, (Time, BTreeSet<usize>)>,
        promised: BTreeMap<(usize, WorkloadId), u64>,
        came: u64,
        looks: u64,
    }

    impl World {
        fn place(&self, id: WorkloadId) -> (Vec<Line>, Place) {
            let (at, lines) = &self.standing[&id];
            (lines.iter().copied().map(line).collect(), (*at, id))
        }

        fn stand(&mut self, lines: BTreeSet<usize>) {
            self.came += 1;
            // Several come at once, and their ids are in no order.
            let at = Time::from_millis(self.came / 3);
            let id = WorkloadId::from_u128(u128::from(self.came * 7 % 101 + self.came * 1_000));
            self.standing.insert(id, (at, lines));
            let (lines, place) = self.place(id);
            self.waiting.stand(lines, place);
        }

        fn go(&mut self, id: WorkloadId) {
            let (lines, place) = self.place(id);
            self.waiting.go(lines, place);
            self.standing.remove(&id);
            self.promised.retain(|(_, who), _| *who != id);
        }

        fn wake(&mut self, n: usize) {
            self.waiting.wake(line(n));
            let inside = self.standing.iter();
            let inside = inside.filter(|(_, (_, lines))| lines.contains(&n));
            let inside: Vec<_> = inside.map(|(id, _)| *id).collect();
            // The round that goes on, then one more; in so many looks each line gets on once.
            let turns = 2 * inside.len() as u64;
            let by = self.looks + turns * LINES.div_ceil(AT_ONCE) as u64 + 1;
            for id in inside {
                self.promised.entry((n, id)).or_insert(by);
            }
        }

        fn look(&mut self, filled: u128) -> Result<(), TestCaseError> {
            self.looks += 1;
            let next = self.waiting.next(AT_ONCE);
            prop_assert!(next.len() <= AT_ONCE);
            prop_assert_eq!(next.is_empty(), self.waiting.rounds.is_empty());
            for id in next {
                self.promised.retain(|(_, who), _| *who != id);
                if id.as_u128() % filled == 0 {
                    self.go(id);
                } else {
                    let (lines, place) = self.place(id);
                    self.waiting.tried(lines, place);
                }
            }
            let late: Vec<_> = self
                .promised
                .iter()
                .filter(|(_, by)| **by < self.looks)
                .collect();
            prop_assert!(late.is_empty(), "{:?} at {}", late, self.looks);
            Ok(())
        }
    }

    proptest! {
        /// Whoever room has woken is tried, however often others are woken and whoever else comes; what
        /// is done at once is bounded; and with no more room coming free it ends.
        #[test]
        fn whoever_is_woken_is_tried(steps in vec(steps(), 0..300)) {
            let mut world = World::default();
            for step in steps {
                match step {
                    Step::Stand(lines) => world.stand(lines),
                    Step::Go(n) => {
                        let all = world.standing.keys();
                        let id = all.copied().nth(n % world.standing.len().max(1));
                        if let Some(id) = id {
                            world.go(id);
                        }
                    }
                    Step::Wake(n) => world.wake(n),
                    Step::Try(filled) => world.look(filled)?,
                }
                world.waiting.pace(Time::EPOCH);
                prop_assert_eq!(world.waiting.at.is_some(), !world.waiting.rounds.is_empty());
            }
            for _ in 0..=2 * LINES * world.standing.len() {
                world.look(1_000_003)?;
            }
            prop_assert!(world.waiting.rounds.is_empty());
            prop_assert!(world.promised.is_empty());
        }
    }

    #[test]
    fn who_was_tried_in_vain_is_followed_after_a_pause() {
        let mut world = World::default();
        for _ in 0..5 {
            world.stand(BTreeSet::from([0]));
        }
        let now = Time::from_millis(5_000);
        world.wake(0);
        world.waiting.pace(now);
        assert_eq!(world.waiting.at, Some(now), "at once");
        world.look(1_000_003).unwrap();
        world.waiting.pace(now);
        assert_eq!(world.waiting.at, Some(now + PAUSE));
        // Nothing that is committed meanwhile puts it off.
        world.wake(0);
        world.waiting.pace(now + Span::from_millis(999));
        assert_eq!(world.waiting.at, Some(now + PAUSE));
    }
}
