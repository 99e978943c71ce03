//! When to look for replicas that gain from a move, at which leases, and where the next look begins.
//!
//! In turn, some at a time, so that a look never holds up what people wait for.

use std::ops::Bound;

use remuda_types::{LeaseId, Span, Time};

use crate::command::Command;
use crate::state::{Lease, State};

/// The look after the last; whoever has the clock keeps it.
#[derive(Clone, Copy, Debug)]
pub struct Rounds {
    /// When it is; not known before the first, and where none is wanted.
    at: Option<Time>,
    /// The lease that it begins with.
    from: LeaseId,
}

impl Default for Rounds {
    fn default() -> Self {
        let from = LeaseId::from_u128(0);
        Self { at: None, from }
    }
}

impl Rounds {
    /// The command that is due, if one is; none is due again before the policy's time has passed.
    pub fn due(&mut self, now: Time, state: &State) -> Option<Command> {
        let every = state.policy.repack.every;
        if every == Span::ZERO {
            self.at = None;
            return None;
        }
        let at = *self.at.get_or_insert(now + every);
        if now < at {
            return None;
        }
        let from = self.from;
        self.at = Some(now + every);
        self.from = next(state, from);
        Some(Command::Repack { from })
    }

    /// When the next is due, as far as is known.
    pub const fn next_at(&self) -> Option<Time> {
        self.at
    }
}

/// The leases of a look that begins here.
pub fn looked_at(state: &State, from: LeaseId) -> impl Iterator<Item = (LeaseId, &Lease)> {
    let rest = state.leases.range(from..);
    let rest = rest.take(state.policy.repack.look as usize);
    rest.map(|(id, lease)| (*id, lease))
}

/// Where the look after one that begins here does; from the first lease again after the last.
pub fn next(state: &State, from: LeaseId) -> LeaseId {
    let first = LeaseId::from_u128(0);
    let Some((last, _)) = looked_at(state, from).last() else {
        return first;
    };
    let mut after = state
        .leases
        .range((Bound::Excluded(last), Bound::Unbounded));
    after.next().map_or(first, |(id, _)| *id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_is_due_when_the_policy_says_and_never_where_it_says_so() {
        let mut state = State::default();
        let mut rounds = Rounds::default();
        let at = |secs| Time::EPOCH + Span::from_secs(secs);
        assert_eq!(rounds.due(at(100), &state), None);
        state.policy.repack.every = Span::from_secs(60);
        let mut due = |secs| rounds.due(at(secs), &state).is_some();
        assert!(!due(200) && !due(259) && due(260) && !due(261) && due(400));
        assert_eq!(rounds.next_at(), Some(at(460)));
    }
}
