//! When the clock has the network look for replicas that gain from a move, and at which leases.

use remuda_network::{Command, State, repack};
use remuda_types::{LeaseId, Span, Time};

/// The next look.
#[derive(Debug)]
pub(crate) struct Repacking {
    /// When it is; not known before the first, and where none is wanted.
    at: Option<Time>,
    /// The lease that it begins with.
    from: LeaseId,
}

impl Default for Repacking {
    fn default() -> Self {
        let from = LeaseId::from_u128(0);
        Self { at: None, from }
    }
}

impl Repacking {
    /// The command that is due, if one is; it is not due again before the policy's time has passed.
    pub(crate) fn due(&mut self, now: Time, state: &State) -> Option<Command> {
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
        self.from = repack::next(state, from);
        Some(Command::Repack { from })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_due_when_the_policy_says_and_never_where_it_says_so() {
        let mut state = State::default();
        let mut repacking = Repacking::default();
        let at = |secs| Time::EPOCH + Span::from_secs(secs);
        assert_eq!(repacking.due(at(100), &state), None);
        state.policy.repack.every = Span::from_secs(60);
        let mut due = |secs| repacking.due(at(secs), &state).is_some();
        assert!(!due(200) && !due(259) && due(260) && !due(261) && due(400));
    }
}
